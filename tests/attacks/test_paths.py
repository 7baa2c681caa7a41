"""Path traversal, open redirects, other hosts in the target, and headers that are reflected."""

import re

import pytest

from tests.attacks.hulls import Hull, People, received, statuses

pytestmark = pytest.mark.slow

SECRET = "/v1/internal"
#: Ways to say "one up", and "here", that some reader or other undoes.
UP = (
    "..", "%2e%2e", "%2E%2E", ".%2e", "%252e%252e", "%25252e%25252e", "..%2f", "%2e%2e%2f", "..%252f", "..\\", "..%5c",
    "%2e%2e%5c", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%c0%af", "..;", "..;/", "..%00", "..%0d%0a", "..%23", "..%3f",
    "%uff0e%uff0e", "．．", "..%ef%bc%8f",
)  # fmt: skip


def target_of(hull: Hull, target: str, token: str = "", host: str = "") -> bytes:
    """All that comes back of a target as it is said."""
    lines = [
        f"GET {target} HTTP/1.1", f"Host: {host or f'localhost:{hull.port}'}", "Connection: close",
        *([f"Authorization: Bearer {token}"] if token else []), "", "",
    ]  # fmt: skip
    return hull.send("\r\n".join(lines).encode())


@pytest.mark.parametrize("up", UP)
def test_no_path_leads_out_of_what_is_published(hull: Hull, people: People, up: str) -> None:
    token = people.jo.access
    for target in (
        f"/api/v1/{up}/metrics", f"/api/v1/{up}/{up}/metrics", f"/api/{up}/metrics", f"/api/v1/scans/{up}/{up}/metrics",
        f"/api/v1/scans/{up}/{up}/health/ready", f"/api/docs/{up}/{up}/{up}/{up}/etc/passwd", f"/{up}/etc/passwd",
        f"/api/v1/keys/{up}/{up}/v1/revocations", f"/api/v1/evidence/{up}{up}/master.key", f"/api/v1/{up}/v1/jwks",
    ):  # fmt: skip
        said = target_of(hull, target, token)
        assert statuses(said) in ([400], [404], [405]), target
        assert b"root:" not in said
        assert b"mirage_" not in said.lower().replace(b"mirage_pat_", b"")


@pytest.mark.parametrize("name", ["revocations", "tokens/check", "memberships/{}", "profiles", "accounts/first/code"])
def test_what_services_ask_each_other_is_not_let_out(hull: Hull, people: People, name: str) -> None:
    path = f"/v1/{name}".format(people.jo.account)
    for token in ("", people.jo.access):
        for method in ("GET", "POST"):
            reply = hull.ask(method, path, {} if method == "POST" else None, token=token)
            assert reply.status in {401, 403, 405}, (method, path)


def test_an_encoded_slash_or_nothing_is_part_of_no_other_path(hull: Hull, people: People) -> None:
    for path in (
        "/v1%2fscans", "/v1/scans%2f", "/v1/scans/a%2fitems", "/v1/scans%00", "/v1/scans%20", "/v1\\scans", "/V1/scans",
        "/v1/scans;a=b", "/v1/sc%61ns/%2e", "/v1/scans/%2e%2e", "/v1/%73cans%2f..",
    ):  # fmt: skip
        assert hull.ask("GET", path, token=people.jo.access).status in {400, 404}, path
    assert hull.ask("GET", "/v1/%73cans", token=people.jo.access).status == 200  # it is the same path (RFC 3986, 6.2.2)


@pytest.mark.parametrize(
    "target",
    ["http://elsewhere.example/api/v1/jwks", "https://169.254.169.254/latest/meta-data", "http://user@localhost/api/v1/jwks",
     "//elsewhere.example/api/v1/jwks", "elsewhere.example:443", "*", "api/v1/jwks", "?x=/api/v1/jwks", "#/api/v1/jwks",
     "file:///etc/passwd", "/api/v1/jwks HTTP/1.1\r\nX: /"],
)  # fmt: skip
def test_nobody_is_asked_but_this_server(hull: Hull, target: str) -> None:
    """It is no proxy: a target that names another host is one of here, or none."""
    said = target_of(hull, target)
    assert statuses(said)[0] in {200, 302, 400, 403, 404, 405}
    if statuses(said) == [200]:
        assert b'"keys"' in said
    assert b"elsewhere" not in said.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/api/docs", "/api/docs/"])
def test_the_front_leads_to_its_own_pages_whoever_says_where_it_is(hull: Hull, path: str) -> None:
    for query in ("", "?next=https://elsewhere.example", "?url=//elsewhere.example", "?spec-url=//elsewhere.example"):
        for more in (
            "",
            "X-Forwarded-Host: elsewhere.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=elsewhere.example\r\n",
        ):
            raw = f"GET {path}{query} HTTP/1.1\r\nHost: localhost:{hull.port}\r\n{more}Connection: close\r\n\r\n"
            said = hull.send(raw.encode())
            assert statuses(said) in ([200], [302])
            assert re.findall(rb"(?im)^location: (.*?)\r?$", said) in ([], [b"/api/docs"])
            assert b"elsewhere" not in said
    for host in ("elsewhere.example", "localhost@elsewhere.example", "elsewhere.example#localhost"):
        assert b"elsewhere" not in target_of(hull, path, host=host)


@pytest.mark.parametrize(
    "path",
    ["//elsewhere.example", "/\\elsewhere.example", "/api//elsewhere.example", "/%2f%2felsewhere.example",
     "///elsewhere.example/%2e%2e", "/api/docs//elsewhere.example"],
)  # fmt: skip
def test_no_other_page_leads_anywhere(hull: Hull, path: str) -> None:
    said = target_of(hull, path)
    assert statuses(said) in ([400], [404])
    assert not re.findall(rb"(?im)^location:", said)


LINE = "\r\nX-Injected: yes\r\n\r\n<html>"


def test_no_line_of_a_request_becomes_one_of_an_answer(hull: Hull, people: People) -> None:
    encoded = "".join(f"%{ord(character):02x}" for character in LINE)
    halves = [
        encoded,
        encoded.replace("%0d", ""),
        encoded.replace("%0a", ""),
        "%e5%98%8d%e5%98%8a" + "X-Injected:%20yes",
    ]
    token = people.jo.access
    for half in halves:
        for target in (
            f"/api/v1/scans/{half}", f"/api/v1/keys/{half}", f"/api/v1/members/{half}", f"/api/v1/scans?limit={half}",
            f"/api/v1/{half}", f"/api/docs?{half}", f"/?{half}", f"/{half}",
        ):  # fmt: skip
            head = target_of(hull, target, token).partition(b"\r\n\r\n")[0].lower()
            assert b"\nx-injected" not in head.replace(b"\r", b"\n"), target
    for name in (
        "traceparent",
        "Last-Event-ID",
        "Mirage-Workspace",
        "Mirage-Seconds",
        "Accept",
        "Content-Type",
        "Origin",
    ):
        for value in ("a\tX-Injected: yes", "a\x0bX-Injected: yes", "a\x85X-Injected: yes", "a\u2028X-Injected: yes"):
            with hull.connect() as line:
                said = f"GET /api/v1/scans HTTP/1.1\r\nHost: localhost:{hull.port}\r\nAuthorization: Bearer {token}\r\n"
                line.sendall(f"{said}{name}: {value}\r\nConnection: close\r\n\r\n".encode())
                answer = received(line)
            assert statuses(answer)[0] < 500
            assert b"injected" not in answer.partition(b"\r\n\r\n")[0].lower()


def test_what_somebody_calls_himself_is_told_as_json_and_no_page(hull: Hull, people: People) -> None:
    """What comes back is not made a page of, whatever is in it, and nobody's page has it in a frame."""
    name = "<script>alert(1)</script>"
    reply = hull.ask("PUT", "/v1/profile", {"name": name}, token=people.by_role["admin"].access)
    assert reply.headers["content-type"] == "application/json"
    for path in (f"/v1/scans/{name}", f"/v1/{name}", f"/v1/scans?{name}=1"):
        reply = hull.ask("GET", path.replace("<", "%3C").replace(">", "%3E"), token=people.jo.access)
        assert reply.headers["content-type"] == "application/problem+json"
    for path in ("/docs", "/openapi.json", "/v1/jwks", "/v1/scans"):
        assert hull.ask("GET", path).headers["x-content-type-options"] == "nosniff", path
    assert "frame-ancestors 'none'" in hull.ask("GET", "/docs").headers["content-security-policy"]
