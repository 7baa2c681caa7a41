"""Tokens that were taken from somebody, or were known before he logged in."""

import time

import pytest

from tests.attacks.hulls import PASSWORD, Hull, People, Person, Reply, eventually, good, person

pytestmark = pytest.mark.slow


def refresh(hull: Hull, token: str, **more: str) -> Reply:
    return hull.ask("POST", "/v1/sessions/refresh", {"refresh": token, **more})


def is_let_in(hull: Hull, who: Person) -> bool:
    return hull.ask("GET", "/v1/profile", token=who.access).status == 200


def test_a_refresh_token_that_was_stolen_ends_the_session_for_the_thief_too(hull: Hull, people: People) -> None:
    """In whatever order the two come: at the latest when the first of them comes again, it is over for both."""
    for thief_first in (True, False):
        owner = people.log_in("analyst@example.org")
        stolen = owner.refresh
        first = person(good(refresh(hull, stolen)))
        second = person(good(refresh(hull, first.refresh)))
        told = refresh(hull, stolen)
        assert told.status == 401
        assert "came twice" in told.json()["detail"]
        for token in (second.refresh, first.refresh, stolen) if thief_first else (first.refresh, second.refresh):
            assert refresh(hull, token).status == 401
        for who in (owner, first, second):
            eventually(lambda who=who: not is_let_in(hull, who))


def test_who_races_with_a_stolen_token_gets_no_second_session(hull: Hull, people: People) -> None:
    owner = people.log_in("analyst@example.org")
    twice = [person(good(refresh(hull, owner.refresh))) for _ in range(2)]  # as after an answer that was lost
    assert twice[0].session == twice[1].session == owner.session
    told = [refresh(hull, each.refresh).status for each in twice]
    assert told == [401, 401]  # the first was replaced, and who came with it ended the session


def test_no_other_token_of_a_session_gets_the_next_pair(hull: Hull, people: People) -> None:
    owner = people.log_in("analyst@example.org")
    script = {"name": "x", "permissions": ["read"], "expires": time.time_ns() // 1000 + 3_600_000_000}
    made = good(hull.ask("POST", "/v1/tokens", script, token=owner.access))["token"]
    altered = owner.refresh[:-1] + ("0" if owner.refresh[-1] != "0" else "1")
    for other in (owner.access, made, altered, owner.session, owner.refresh.upper(), "", "mirage_ref_"):
        assert refresh(hull, other).status in {400, 401}, other
    assert refresh(hull, owner.refresh).status == 200  # it was ended by none of these


def test_what_was_known_before_a_login_lets_nobody_in_after_it(hull: Hull, people: People) -> None:
    """Session fixation: whoever logs in gets a session that nobody chose for him."""
    planted = people.log_in("viewer@example.org")
    body = {"email": "analyst@example.org", "password": PASSWORD}
    for more in ({"session": planted.session}, {"refresh": planted.refresh}, {"access": planted.access}):
        assert hull.ask("POST", "/v1/sessions", {**body, **more}).status == 400
    for headers in (
        {"Authorization": f"Bearer {planted.access}"}, {"Cookie": f"session={planted.session}"},
        {"Cookie": f"refresh={planted.refresh}", "X-Session-Id": planted.session},
    ):  # fmt: skip
        step = good(hull.ask("POST", "/v1/sessions", body, headers=headers))
        opened = person(step["session"])
        assert {opened.session, opened.access, opened.refresh}.isdisjoint(
            {planted.session, planted.access, planted.refresh}
        )
        assert opened.email == "analyst@example.org"
    assert good(hull.ask("GET", "/v1/profile", token=planted.access))["email"] == "viewer@example.org"
    shown = good(hull.ask("GET", "/v1/sessions", token=planted.access))
    assert [each["id"] for each in shown if each["current"]] == [planted.session]


def test_a_password_that_is_changed_ends_what_was_taken_before(hull: Hull, people: People) -> None:
    new = people.invite("changing@example.org", "viewer")
    taken = people.log_in("changing@example.org")
    asked = {"old": PASSWORD, "new": "another horse battery"}
    assert hull.ask("PUT", "/v1/password", asked, token=new.access).status == 200
    eventually(lambda: not is_let_in(hull, taken))
    assert refresh(hull, taken.refresh).status == 401
    assert is_let_in(hull, new)
    assert hull.ask("POST", "/v1/sessions", {"email": new.email, "password": PASSWORD}).status == 401


def test_nobody_ends_or_sees_the_sessions_and_tokens_of_another(hull: Hull, people: People) -> None:
    viewer, owner = people.by_role["viewer"], people.by_role["owner"]
    script = {"name": "x", "permissions": ["read"], "expires": time.time_ns() // 1000 + 3_600_000_000}
    made = good(hull.ask("POST", "/v1/tokens", script, token=viewer.access))
    for path in (f"/v1/sessions/{viewer.session}", f"/v1/tokens/{made['view']['id']}"):
        assert hull.ask("DELETE", path, token=owner.access).status == 404
    for path in ("/v1/sessions", "/v1/tokens"):
        shown = {each["id"] for each in good(hull.ask("GET", path, token=owner.access))}
        assert shown.isdisjoint({viewer.session, made["view"]["id"]})
    assert is_let_in(hull, viewer)
    assert hull.ask("GET", "/v1/scans", token=made["token"]).status == 200


def test_who_watches_sees_nothing_more_once_his_session_has_ended(hull: Hull, people: People) -> None:
    body = {"targets": ["example.org"], "modules": ["crtsh"]}
    scan = good(hull.ask("POST", "/v1/scans", body, token=people.jo.access))["id"]
    hull.ask("POST", f"/v1/scans/{scan}/pause", token=people.jo.access)
    watching = people.log_in("viewer@example.org")
    with hull.connect() as line:
        head = (
            f"GET /api/v1/scans/{scan}/progress HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {watching.access}"
        )
        line.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
        seen = b""
        while b"data:" not in seen:
            more = line.recv(65_536)
            assert more, seen
            seen += more
        good(hull.ask("DELETE", "/v1/session", token=watching.access))
        while more := line.recv(65_536):
            seen += more
    assert b"event: problem" in seen
    assert b"good no more" in seen
