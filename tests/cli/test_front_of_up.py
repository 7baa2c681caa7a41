"""`mirage up` as the world reaches it: limits, keys, request ids and proxies, as at the gateway of a fleet."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.cli.test_login import PASSWORD, Up, soon

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
PHONE = {"targets": ["+41446681800"], "modules": ["phone"]}


class Said(Struct):
    status: int
    headers: dict[str, str]
    body: Any


class Place:
    """A server whose first account this is."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up = up
        self.folder = folder
        account = {"code": up.code, "email": "jo@example.org", "name": "Jo Doe", "password": PASSWORD}
        self.token = self.ask("POST", "accounts/first", account, token="").body["access"]

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Said:
        token = self.token if token is None else token
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said |= {"Authorization": f"Bearer {token}"} if token else {}
        content = json.dumps(body).encode() if body is not None else None
        said |= {"Content-Type": "application/json"} if content else {}
        request = urllib.request.Request(f"{self.up.url}/api/v1/{path}", content, said, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Said(answer.status, _lower(answer), json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Said(error.code, _lower(error), json.loads(error.read()))


def _lower(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("up") / "data"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MIRAGE_TRUSTED_PROXIES", "127.0.0.1, ::1")
        begun = Up(folder)
    yield Place(begun, folder)
    begun.end()


def test_every_answer_says_what_is_left_and_its_id_which_is_in_the_log(place: Place) -> None:
    known, unknown = place.ask("GET", "scans"), place.ask("GET", "scans", token="")
    assert known.headers["ratelimit-policy"] == '"person";q=3000;w=10'
    assert re.fullmatch(r'"person";r=29\d\d;t=1', known.headers["ratelimit"])
    assert unknown.headers["ratelimit-policy"] == '"address";q=1200;w=60'
    assert (unknown.status, unknown.body["request_id"]) == (401, unknown.headers["x-request-id"])
    log = place.folder / "mirage.log"

    def is_logged() -> None:
        assert {known.headers["x-request-id"], unknown.headers["x-request-id"]} <= set(
            re.findall(r'"trace": "(\w+)"', log.read_text())
        )

    soon(is_logged)


def test_a_scan_with_a_key_is_made_once(place: Place) -> None:
    first = place.ask("POST", "scans", PHONE, Idempotency_Key=KEY)
    again = place.ask("POST", "scans", PHONE, Idempotency_Key=f'"{KEY}"')
    other = place.ask("POST", "scans", {**PHONE, "profile": "active"}, Idempotency_Key=KEY)
    assert (first.status, again.status, other.status) == (200, 200, 422)
    assert again.body == first.body
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert [each["id"] for each in place.ask("GET", "scans").body] == [first.body["id"]]


def test_a_token_that_is_shown_once_is_shown_again_to_who_did_not_get_it(place: Place) -> None:
    new = {"name": "nightly", "permissions": ["read"], "expires": place.ask("GET", "sessions").body[0]["created"]}
    new["expires"] += 86_400_000_000
    made, again = (place.ask("POST", "tokens", new, Idempotency_Key="made-once") for _ in range(2))
    assert made.status == 200, made.body
    assert again.body == made.body
    assert len(place.ask("GET", "tokens").body) == 1
    assert place.ask("GET", "scans", token=made.body["token"]).headers["ratelimit-policy"] == '"token";q=3000;w=10'
    written = b"".join(file.read_bytes() for file in place.folder.iterdir() if file.is_file())
    assert made.body["token"].encode() not in written


def test_where_somebody_is_is_what_a_trusted_proxy_says(place: Place) -> None:
    step = {"email": "jo@example.org", "password": PASSWORD}
    made = place.ask("POST", "sessions", step, token="", X_Forwarded_For="203.0.113.9, 198.51.100.7")
    assert made.status == 200, made.body
    addresses = {each["address"] for each in place.ask("GET", "sessions").body}
    assert "198.51.100.7" in addresses
    assert "203.0.113.9" not in addresses


def test_another_limit_holds_within_a_moment(place: Place) -> None:
    values = {"strangers": {"requests": 10, "seconds": 3600}}
    changed = place.ask("PUT", "settings/gateway", {"values": values})
    assert changed.status == 200, changed.body
    elsewhere = {"X_Forwarded_For": "198.51.100.99"}
    for _ in range(100):
        refused = place.ask("GET", "scans", token="", **elsewhere)
        if refused.status == 429:
            break
    assert (refused.status, refused.body["code"]) == (429, "limited")
    assert refused.headers["ratelimit"] == f'"address";r=0;t={refused.headers["retry-after"]}'
    assert place.ask("GET", "scans", **elsewhere).status == 200
