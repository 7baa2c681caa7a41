from services.collector.pages.headers import Cookie, cookies, missing_protections, policy_hosts


def test_a_policy_names_hosts_in_every_form_a_source_can_have() -> None:
    policy = (
        "default-src 'self' data:; script-src 'nonce-abc' https://Static.example.org:443/js/ *.cdn.example.net;"
        "connect-src wss://ws.example.org api.example.org:* 'sha256-x='; report-uri https://r.example.org/c; img-src *"
    )
    assert policy_hosts(policy) == [
        *("static.example.org", "cdn.example.net", "ws.example.org", "api.example.org", "r.example.org"),
    ]


def test_cookies_are_kept_without_their_values() -> None:
    headers = [
        ("Set-Cookie", "sid=secret; Path=/; Domain=.Example.org; Secure; httponly"),
        ("set-cookie", "=x"),
        ("A", "b=c"),
    ]
    assert cookies(headers) == [Cookie("sid", "example.org", secure=True, http_only=True)]


def test_missing_protections_depend_on_the_transport_and_on_each_other() -> None:
    headers = [("Content-Security-Policy", "frame-ancestors 'none'"), ("X-Content-Type-Options", "nosniff")]
    assert missing_protections(headers, encrypted=True) == [
        *("permissions-policy", "referrer-policy", "strict-transport-security"),
    ]
    assert missing_protections(headers, encrypted=False) == ["permissions-policy", "referrer-policy"]
