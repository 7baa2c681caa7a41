"""Every endpoint that is published, asked through the public door with tokens that are good and with all that are not.

Who is let in is compared with `tests/services/permissions.txt`. What is asked makes no sense, so that only who is let
in learns that.
"""

import base64
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from services.kernel.calls import operator
from services.kernel.messages import workspace_id
from services.kernel.principals import Signer, private_key
from services.kernel.tokens import make_token
from tests.attacks.hulls import Hull, People, documented, eventually, good
from tests.kernel.keys import seed_of
from tests.services.test_permissions import MAY

pytestmark = pytest.mark.slow

#: Endpoints of discovery, which needs a whole fleet: another hull cannot pass on the questions of whom it lets in.
AWAY = {"get_fleet", "get_service", "scale_service"}
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def doors(hull: Hull) -> list[tuple[str, str, str]]:
    """Method, path and the endpoint's name, each."""
    found = []
    for method, path, operation in documented(hull):
        name = re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", operation["operationId"])
        found.append((method, re.sub(r"\{\w+\}", "nothing", path), name))
    return found


def asked(hull: Hull, doors: list[tuple[str, str, str]], headers: Mapping[str, str]) -> dict[str, int]:
    """What each endpoint says to nonsense."""
    said = {"Content-Type": "application/json", **headers}
    return {
        name: hull.ask(method, f"{path}?nothing=1", b"nothing", headers=said).status for method, path, name in doors
    }


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def script(hull: Hull, who: str, *may: str) -> Any:
    new = {"name": "script", "permissions": may, "expires": time.time_ns() // 1000 + DAY}
    return good(hull.ask("POST", "/v1/tokens", new, token=who))


@pytest.mark.parametrize("who", ["viewer", "analyst", "admin", "owner", "operator", "script", "nobody", "elsewhere"])
def test_who_is_let_in_is_whom_the_file_lets_in(
    hull: Hull, people: People, doors: list[tuple[str, str, str]], who: str
) -> None:
    jo = people.jo
    assert jo.roles == ("owner", "operator")
    if who == "nobody":
        headers = {}
    elif who == "script":
        headers = bearer(script(hull, jo.access, "all")["token"])
    else:
        holder = {**people.by_role, "operator": jo, "elsewhere": people.elsewhere}[who]
        headers = bearer(holder.access)
    roles = {"owner", "operator"} if who in {"operator", "script", "elsewhere"} else {who}
    may = {name for _, _, name in doors if roles & MAY[name]}
    if who == "script":  # it is let in as its maker is, but where a person is meant
        may = {name for name in may if "nobody" in MAY[name] or "stranger" not in MAY[name]}
    away = set() if hull.whole else may & AWAY
    seen = asked(hull, [door for door in doors if door[2] not in away], headers)
    no = 401 if who == "nobody" else 403
    assert seen == {name: 400 if name in may else no for name in seen}


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forged(hull: Hull, people: People) -> dict[str, str]:
    """Values of Authorization that let nobody in."""
    good_one, refresh = people.jo.access, people.jo.refresh
    head, body, signature = good_one.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    kid, key = hull.signing_key()

    def signed(
        by: Any = key, *, algorithm: str = "Ed25519", header: Mapping[str, Any] | None = None, **said: Any
    ) -> str:
        named = {"alg": algorithm, "typ": "at+jwt", "kid": kid, **(header or {})}
        return "Bearer " + jwt.encode(named, {**claims, **said}, by, algorithms=[algorithm])

    assert hull.ask("GET", "/v1/profile", headers={"Authorization": signed()}).status == 200
    none = {"typ": "at+jwt", "kid": kid}
    public = OctKey.import_key(key.as_dict(private=False)["x"])
    other = OKPKey.generate_key("Ed25519")
    own = {"kty": "OKP", "crv": "Ed25519", "x": other.as_dict(private=False)["x"]}
    return {
        "nothing": "", "no token": "Bearer", "another scheme": f"Basic {good_one}", "no scheme": good_one,
        "two tokens": f"Bearer {good_one}, Bearer {good_one}", "two dots": "Bearer ..",
        **{f"alg={alg}": f"Bearer {part({**none, 'alg': alg})}.{body}." for alg in ("none", "None", "nOnE", "")},
        "alg=none, signed": f"Bearer {part({**none, 'alg': 'none'})}.{body}.{signature}",
        "no alg": f"Bearer {part(none)}.{body}.{signature}",
        "no signature": f"Bearer {head}.{body}.", "another signature": f"Bearer {head}.{body}.{signature[::-1]}",
        "altered": f"Bearer {head}.{part({**claims, 'roles': ['owner', 'operator']})}.{signature}",
        "a public key as a secret": signed(public, algorithm="HS256"),
        "another key": signed(other), "an unknown key": signed(other, header={"kid": "x"}),
        "its own key": signed(other, header={"jwk": own}),
        "a key elsewhere": signed(other, header={"jku": "http://127.0.0.1:9/", "kid": "../../../dev/null"}),
        "another type": signed(header={"typ": "JWT"}),
        "over": signed(iat=claims["iat"] - 3600, exp=claims["exp"] - 3600),
        "not begun": signed(iat=claims["iat"] + 3600, exp=claims["exp"] + 3600),
        "too long": signed(exp=claims["exp"] + 86_400), "for ever": signed(exp=10**30),
        "another audience": signed(aud="somebody"), "many audiences": signed(aud=["mirage", "somebody"]),
        "another issuer": signed(iss="https://elsewhere.example"), "nobody": signed(sub=None),
        "a refresh token": f"Bearer {refresh}", "an invented token": f"Bearer {make_token('pat')}",
        "a principal": f"Bearer {principal()}",
    }  # fmt: skip


def principal() -> str:
    """By which the operator's own machine asks a service; here it is even signed by the right key."""
    return Signer({"operator": private_key(seed_of("operator"))}).sign(operator(workspace_id("default")), "scans")


def test_what_auth_did_not_give_or_has_taken_back_lets_nobody_in_anywhere(
    hull: Hull, people: People, doors: list[tuple[str, str, str]]
) -> None:
    bad = forged(hull, people)
    leaving = people.log_in("owner@example.org")
    made = script(hull, people.by_role["owner"].access, "all")
    good(hull.ask("DELETE", "/v1/session", token=leaving.access))
    good(hull.ask("DELETE", f"/v1/tokens/{made['view']['id']}", token=people.by_role["owner"].access))
    bad |= {"an ended session": f"Bearer {leaving.access}", "an ended token": f"Bearer {made['token']}"}
    for ended in (leaving.access, made["token"]):
        eventually(lambda token=ended: hull.ask("GET", "/v1/jwks", token=token).status == 401)
    everywhere = {name: 401 for _, _, name in doors}
    for what, said in bad.items():
        assert asked(hull, doors, {"Authorization": said}) == everywhere, what


def test_who_says_himself_who_he_is_is_not_believed(
    hull: Hull, people: People, doors: list[tuple[str, str, str]]
) -> None:
    said = {
        "Mirage-Principal": principal(), "Mirage-Service": "scans", "Mirage-Account": people.jo.account,
        "X-Forwarded-User": "jo", "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1",
        "X-HTTP-Method-Override": "GET", "X-Original-URL": "/v1/jwks", "Cookie": f"token={people.jo.access}",
    }  # fmt: skip
    for headers in ({}, bearer(people.by_role["viewer"].access)):
        assert asked(hull, doors, {**headers, **said}) == asked(hull, doors, headers)
    # Neither where the question itself has it.
    for _, path, name in doors:
        reply = hull.ask("GET", f"{path}?access_token={people.jo.access}")
        assert reply.status in ({400, 401, 405} if "nobody" in MAY[name] else {401, 405}), name


def test_a_token_is_good_in_its_own_workspace_alone(
    hull: Hull, people: People, doors: list[tuple[str, str, str]]
) -> None:
    elsewhere = people.elsewhere.access
    there = {**bearer(people.jo.access), "Mirage-Workspace": "elsewhere"}
    assert set(asked(hull, doors, there).values()) == {403}
    for other in ("elsewhere", people.elsewhere.workspace, str(workspace_id("default")).upper() + " "):
        reply = hull.ask("GET", "/v1/members", token=people.jo.access, headers={"Mirage-Workspace": other})
        assert reply.status in {400, 403}, other
    # What is in one is not there in another one, whoever asks who may all there.
    body = {"targets": ["example.org"], "modules": ["crtsh"]}
    scan = good(hull.ask("POST", "/v1/scans", body, token=people.jo.access))["id"]
    good(hull.ask("POST", f"/v1/scans/{scan}/stop", token=people.jo.access))
    invented = str(UUID(int=7))
    for method, path, operation in documented(hull):
        if "{scan}" in path:
            told = [
                hull.ask(method, re.sub(r"\{\w+\}", "nothing", path.replace("{scan}", each)), {}, token=elsewhere)
                for each in (scan, invented)
            ]
            assert told[0].status == told[1].status, operation["operationId"]
            here, nowhere = (reply.anonymous() for reply in told)
            assert here.replace(scan.encode(), invented.encode()) == nowhere, operation["operationId"]
    assert good(hull.ask("GET", "/v1/scans", token=elsewhere)) == []
    assert [each["email"] for each in good(hull.ask("GET", "/v1/members", token=elsewhere))] == ["jo@example.org"]
