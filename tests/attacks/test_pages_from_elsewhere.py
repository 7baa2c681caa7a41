"""Cross-site requests: a page from elsewhere has a browser change nothing, and reads nothing that it gets."""

from collections.abc import Mapping

import pytest

from tests.attacks.hulls import PASSWORD, Hull, People, answered

pytestmark = pytest.mark.slow

LOG_IN = {"email": "viewer@example.org", "password": PASSWORD}
#: What a browser sends for a page from elsewhere without asking first (https://fetch.spec.whatwg.org/#simple-header).
FORMS = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain;charset=UTF-8",
)


def browser(site: str, origin: str, **more: str) -> Mapping[str, str]:
    """The headers of a browser of today."""
    return {"Origin": origin, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", **more}


@pytest.mark.parametrize("said", [*FORMS, "", "text/json", "application/json-patch+json", "application/jsonp"])
def test_what_is_not_said_to_be_json_is_not_taken_for_it(hull: Hull, people: People, said: str) -> None:
    for method, path, operation in answered(hull):
        if "requestBody" in operation:
            target = path.replace("{", "").replace("}", "")
            reply = hull.ask(method, target, b"{}", token=people.jo.access, headers={"Content-Type": said})
            assert (reply.status, reply.json()["code"]) == (415, "invalid"), path
    assert hull.ask("POST", "/v1/sessions", LOG_IN, headers={"Content-Type": said}).status == 415


@pytest.mark.parametrize("said", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_what_is_said_to_be_json_is_read(hull: Hull, people: People, said: str) -> None:
    assert hull.ask("POST", "/v1/sessions", LOG_IN, headers={"Content-Type": said}).status == 200


def test_a_page_from_elsewhere_changes_nothing(hull: Hull, people: People) -> None:
    here = f"http://127.0.0.1:{hull.port}"
    for headers in (
        browser("cross-site", "https://elsewhere.example"),
        browser("same-site", f"http://127.0.0.1:{hull.port + 1}"),
        browser("cross-site", "null"),
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{hull.port + 1}"},
        {"Origin": f"{here}.elsewhere.example"},
        {"Origin": f"http://elsewhere.example/{here}"},
    ):
        for method, path, token in (
            ("POST", "/v1/sessions", ""),
            ("PUT", "/v1/profile", people.jo.access),
            ("DELETE", "/v1/session", people.jo.access),
        ):
            body = LOG_IN if method == "POST" else {"name": "Mallory"}
            reply = hull.ask(method, path, body, token=token, headers=headers)
            assert (reply.status, reply.json()["code"]) == (403, "denied"), (headers, path)
    assert hull.ask("GET", "/v1/profile", token=people.jo.access).json()["name"] == "Jo Doe"
    # The pages that describe the API ask it from here.
    for site in ("same-origin", "none"):
        assert hull.ask("POST", "/v1/sessions", LOG_IN, headers=browser(site, here)).status == 200


def test_what_a_page_from_elsewhere_asks_a_browser_lets_it_not_read(hull: Hull, people: People) -> None:
    for method, headers in (
        ("GET", browser("cross-site", "https://elsewhere.example")),
        ("OPTIONS", browser("cross-site", "https://elsewhere.example", **{"Access-Control-Request-Method": "PUT"})),
    ):
        reply = hull.ask(method, "/v1/profile", token=people.jo.access, headers=headers)
        assert not [name for name in reply.headers if name.startswith("access-control-")]


def test_nothing_is_asked_for_whoever_sits_at_a_browser(hull: Hull, people: People) -> None:
    """Who is let in shows a token with each question: no answer sets a cookie that a browser would send by itself."""
    answers = [
        hull.ask("POST", "/v1/sessions", LOG_IN),
        hull.ask("GET", "/v1/profile", token=people.jo.access),
        hull.ask("GET", "/docs"),
    ]
    assert not [reply for reply in answers if reply.status != 200 or "set-cookie" in reply.headers]
