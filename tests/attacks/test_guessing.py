"""Guessing passwords, codes and tokens, and finding out who has an account."""

import re
from typing import Any

import pytest

from services.kernel.tokens import make_token
from tests.attacks.hulls import PASSWORD, Hull, People, Reply, good

pytestmark = pytest.mark.slow

NOBODY = "nobody-has-this@example.org"


def log_in(hull: Hull, email: str, password: str, comes_from: str, **more: Any) -> Reply:
    return hull.ask("POST", "/v1/sessions", {"email": email, "password": password, **more}, comes_from=comes_from)


def told(reply: Reply) -> tuple[Any, ...]:
    """What a reply says, without when it was said, and to which request."""
    dropped = {"date", "retry-after", "mirage-instance", "ratelimit", "x-request-id"}
    kept = {name: value for name, value in reply.headers.items() if name not in dropped}
    return reply.status, kept, re.sub(rb"in \d+ s", b"in n s", reply.anonymous())


def test_who_has_an_account_is_told_as_little_as_who_has_none(hull: Hull, people: People) -> None:
    seen = [told(log_in(hull, email, "wrong horse battery", "127.0.11.1")) for email in ("jo@example.org", NOBODY)]
    assert seen[0] == seen[1]
    assert seen[0][0] == 401
    for more in (
        {"code": "123456"},
        {"workspace": "default"},
        {"workspace": "elsewhere"},
        {"workspace": "no such one"},
    ):
        seen = [
            told(log_in(hull, who, "wrong horse battery", "127.0.12.1", **more)) for who in ("jo@example.org", NOBODY)
        ]
        assert seen[0] == seen[1], more
    for odd in ("JO@example.org", " jo@example.org ", "jo@EXAMPLE.org", "é@example.org", ""):
        assert log_in(hull, odd, "wrong horse battery", "127.0.13.1").status == 401, odd
    # PostgreSQL takes no text with NUL, whoever's it is.
    seen = [told(log_in(hull, f"{who}\0", "wrong horse battery", "127.0.13.1")) for who in ("jo@example.org", NOBODY)]
    assert seen[0] == seen[1]
    assert seen[0][0] in {400, 401}


def test_a_code_that_is_none_says_nothing_of_those_that_are(hull: Hull, people: People) -> None:
    """Of invitations and of the first account: one that never was, was used, was withdrawn, or is not even a code."""
    invited = {"email": "guest@example.org", "role": "viewer"}
    used = good(hull.ask("POST", "/v1/invitations", invited, token=people.jo.access))["code"]
    good(
        hull.ask("POST", "/v1/accounts", {"code": used, "name": "Guest", "password": PASSWORD}, comes_from="127.0.14.1")
    )
    made = good(hull.ask("POST", "/v1/invitations", {**invited, "email": "x@example.org"}, token=people.jo.access))
    good(hull.ask("DELETE", f"/v1/invitations/{made['invitation']['id']}", token=people.jo.access))
    codes = (used, made["code"], make_token("inv"), "guess", people.jo.refresh)
    for path, more in (
        ("/v1/invitations/open", {}),
        ("/v1/accounts", {"name": "Mallory", "password": PASSWORD}),
        ("/v1/accounts/first", {"name": "Mallory", "password": PASSWORD, "email": "m@example.org"}),
    ):
        # Who made his account by a code is told that he did: nobody else has it.
        tried = [code for code in codes if code != used or path != "/v1/accounts"]
        seen = [told(hull.ask("POST", path, {"code": code, **more}, comes_from="127.0.14.1")) for code in tried]
        assert [each for each in seen if each != seen[0]] == [], path
        assert seen[0][0] in {403, 404}
    seen = [told(hull.ask("POST", "/v1/invitations/accept", {"code": code}, token=people.jo.access)) for code in codes]
    assert {each[0] for each in seen} == {404}
    assert len({each[2] for each in seen}) == 1


def test_who_guesses_is_slowed_alike_whoever_he_tries_to_be(hull: Hull, people: People) -> None:
    seen = {}
    for email, comes_from in (("owner@example.org", "127.0.21.1"), (NOBODY, "127.0.22.1")):
        tries = [log_in(hull, email, f"wrong horse battery {number}", comes_from) for number in range(15)]
        seen[email] = [reply.status for reply in tries]
        assert [told(reply) for reply in tries if reply.status == 429] == [told(tries[-1])] * seen[email].count(429)
        assert int(tries[-1].headers["retry-after"]) >= 1
    assert seen["owner@example.org"] == seen[NOBODY]
    assert seen[NOBODY] == [401] * 10 + [429] * 5
    # The right one is not told from others meanwhile, and the person herself is let in from where she is at home.
    assert log_in(hull, "owner@example.org", PASSWORD, "127.0.21.1").status == 429
    assert log_in(hull, "owner@example.org", PASSWORD, "127.0.0.1").status == 200


def test_many_who_guess_from_many_places_do_not_guess_faster_and_lock_nobody_out(hull: Hull, people: People) -> None:
    tries = [log_in(hull, "admin@example.org", "wrong horse battery", f"127.1.{number}.1") for number in range(40)]
    assert [reply.status for reply in tries].count(401) <= 32
    assert tries[-1].status == 429
    assert log_in(hull, "admin@example.org", PASSWORD, "127.0.0.1").status == 200


def test_who_tries_many_names_from_one_place_is_slowed_too(hull: Hull, people: People) -> None:
    tries = [log_in(hull, f"user{number}@example.org", "wrong horse battery", "127.0.31.1") for number in range(75)]
    assert [reply.status for reply in tries[:60]] == [401] * 60
    assert tries[-1].status == 429
    for path, body in (
        ("/v1/accounts", {"code": make_token("inv"), "name": "x", "password": PASSWORD}),
        ("/v1/accounts/first", {"code": "x", "name": "x", "password": PASSWORD, "email": "x@example.org"}),
    ):
        assert hull.ask("POST", path, body, comes_from="127.0.31.2").status == 429, path


def test_codes_of_an_authenticator_are_not_tried_out(hull: Hull, people: People) -> None:
    import pyotp

    who = people.invite("careful@example.org", "viewer")
    begun = good(hull.ask("POST", "/v1/authenticator", {"password": PASSWORD}, token=who.access))
    code = pyotp.TOTP(begun["secret"]).now()
    recovery = good(hull.ask("PUT", "/v1/authenticator", {"code": code}, token=who.access))["codes"]
    assert good(log_in(hull, who.email, PASSWORD, "127.0.0.1"))["needs"] == "code"
    assert log_in(hull, who.email, PASSWORD, "127.0.0.1", code=code).status == 401  # it was used
    tries = [log_in(hull, who.email, PASSWORD, "127.0.41.1", code=f"{number:06}").status for number in range(15)]
    assert tries[-1] == 429
    assert tries.count(401) <= 10
    assert log_in(hull, who.email, PASSWORD, "127.0.0.1", code=recovery[0]).status == 200
    assert log_in(hull, who.email, PASSWORD, "127.0.0.1", code=recovery[0]).status == 401


@pytest.mark.parametrize("secret", ["correct horse battery", "mirage_inv_guess", "mirage_one_guess"])
def test_what_was_guessed_is_told_back_to_nobody(hull: Hull, people: People, secret: str) -> None:
    for path, body in (
        ("/v1/sessions", {"email": NOBODY, "password": secret}),
        ("/v1/sessions", {"email": NOBODY, "password": [secret]}),
        ("/v1/sessions", {"email": NOBODY, "password": {secret: secret}}),
        ("/v1/sessions", {"email": NOBODY, "password": "x", secret: 1}),
        ("/v1/sessions/refresh", {"refresh": secret * 10}),
        ("/v1/invitations/open", {"code": secret}),
    ):
        reply = hull.ask("POST", path, body, comes_from="127.0.51.1")
        assert reply.status in {400, 401, 404}, reply
        assert secret not in reply.body.decode() or secret in body, reply
