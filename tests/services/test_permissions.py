"""Every endpoint of every service, asked by everybody: who is let in is what a file says that is kept by hand."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar

from services.catalogue import load_services
from services.contracts import endpoints
from services.contracts.permissions import ACCOUNT, NAMES, PERMISSIONS, ROLES, permissions_of
from services.kernel.app import create_app, identify_principal, serve_hosts
from services.kernel.calls import ANYBODY, UNGRANTED, Caller, Endpoint, LocalCalls, operator
from services.kernel.errors import NotFound
from services.kernel.openapi import PRINCIPAL
from services.kernel.principals import Signer, Verifier, private_key, read_public_keys, write_public_key
from tests.kernel.asgi import request
from tests.kernel.keys import seed_of

WORKSPACE = UUID(int=7)
SERVICES = load_services()
SPEAKERS = ("gateway", "operator", *(service.name for service in SERVICES))
ENDPOINTS = {each.name: each for each in vars(endpoints).values() if isinstance(each, Endpoint)}
#: Beside the roles: somebody logged in who is nothing anywhere, a script that may all that an owner may, and nobody.
OTHERS = ("stranger", "script", "nobody")
FOR_ALL = {"a": (*ROLES, "stranger"), "e": (*ROLES, *OTHERS)}
TABLE = Path(__file__).parent / "permissions.txt"


def table() -> dict[str, set[str]]:
    """Who may ask what, by the file."""
    said: dict[str, set[str]] = {}
    for line in TABLE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, first, *marks = line.split()
            assert name not in said, line
            if first in FOR_ALL:
                said[name] = {*FOR_ALL[first], *marks}
                continue
            roles, services = (first, *marks[: len(ROLES) - 1]), marks[len(ROLES) - 1 :]
            assert set(roles) <= {"x", "-"}, line
            said[name] = {role for role, mark in zip(ROLES, roles, strict=True) if mark == "x"} | set(services)
    return said


#: Permissions that depend on what is asked, so that no endpoint needs them of everybody.
LOOKED_AT = {"owners.manage", "scans.authorise"}
MAY = table()
FOR_PEOPLE = {name for name, may in MAY.items() if "stranger" in may and "nobody" not in may}


async def found_nothing(_: object, caller: Caller, question: object) -> Any:
    raise NotFound("whoever hears this was let in")


async def finds_nothing(_: object, caller: Caller, question: object) -> Any:
    raise NotFound("whoever hears this was let in")
    yield


@pytest.fixture(scope="module")
def app() -> Litestar:
    """The doors of all services as a fleet has them, with nothing behind them."""
    calls = LocalCalls({service.name: service.asks for service in SERVICES})
    calls.serve(None, {each: finds_nothing if each.streams else found_nothing for each in ENDPOINTS.values()})
    peers = read_public_keys(write_public_key(name, seed_of(name)) for name in SPEAKERS)
    identify = identify_principal(Verifier([service.name for service in SERVICES], peers))
    return create_app(calls, ENDPOINTS.values(), hosts=serve_hosts("127.0.0.1:80"), identify=identify)


SIGNER = Signer({name: private_key(seed_of(name)) for name in SPEAKERS})


async def status(app: Litestar, endpoint: Endpoint[Any, Any], headers: Mapping[str, str]) -> int:
    """What becomes of a question that nobody can read: only who is let in learns that it is none."""
    path = re.sub(r"\{\w+\}", "nothing", endpoint.path)
    answer = await request(app, endpoint.method, f"{path}?nothing=1", headers=headers, body=b"nothing")
    return answer.status


def asked_by(who: str) -> Caller:
    """Somebody, with what the gateway says that he may."""
    if who in ROLES:
        return Caller(WORKSPACE, "jo", "person", permissions_of(who) | {ACCOUNT, ANYBODY}, UUID(int=3))  # type: ignore[arg-type]
    if who == "stranger":
        return Caller(WORKSPACE, "jo", "person", frozenset({ACCOUNT, ANYBODY}), UUID(int=3))
    if who == "script":
        return Caller(WORKSPACE, "jo", "token", permissions_of("owner") | {ANYBODY}, UUID(int=3))
    if who == "nobody":
        return Caller(WORKSPACE, "nobody", "person", frozenset({ANYBODY}))
    return Caller(WORKSPACE, "jo").through(who)


def test_the_file_names_every_endpoint_and_nothing_else() -> None:
    assert MAY.keys() == ENDPOINTS.keys()
    assert set().union(*MAY.values()) <= {*ROLES, *OTHERS, *(service.name for service in SERVICES)}


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_who_is_let_in_is_whom_the_file_lets_in(app: Litestar, name: str) -> None:
    endpoint = ENDPOINTS[name]
    everybody = (*ROLES, *OTHERS, *(service.name for service in SERVICES))
    may = MAY[name] | ({"script"} if "owner" in MAY[name] and name not in FOR_PEOPLE else set())
    seen = {
        who: await status(app, endpoint, {PRINCIPAL: SIGNER.sign(asked_by(who), endpoint.service)}) for who in everybody
    }
    assert seen == {who: 400 if who in may else 401 if who == "nobody" else 403 for who in everybody}


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_whom_nobody_knows_is_not_let_in(app: Litestar, name: str) -> None:
    endpoint = ENDPOINTS[name]
    other = next(service.name for service in SERVICES if service.name != endpoint.service)
    known = SIGNER.sign(operator(WORKSPACE), endpoint.service)
    head, body, signature = known.split(".")
    stranger = Signer({"operator": private_key(seed_of("a stranger"))}).sign(operator(WORKSPACE), endpoint.service)
    for headers in (
        {}, {"Mirage-Workspace": "default"}, {"Authorization": f"Bearer {known}"}, {PRINCIPAL: ""},
        {PRINCIPAL: f"{head}.{body}."}, {PRINCIPAL: f"{head}.{body}.{signature[::-1]}"}, {PRINCIPAL: stranger},
    ):  # fmt: skip
        assert await status(app, endpoint, headers) == 401
    assert await status(app, endpoint, {PRINCIPAL: known}) == 400
    # One that is meant for another service is good there alone; here all of them are in one process.
    alone = Verifier([endpoint.service], read_public_keys([write_public_key("operator", seed_of("operator"))]))
    with pytest.raises(Exception, match=f"a principal for {other} is none for {endpoint.service}"):
        alone.verify(SIGNER.sign(operator(WORKSPACE), other))


def test_every_permission_is_needed_somewhere_and_every_need_is_a_permission() -> None:
    needed = {each.needs for each in ENDPOINTS.values()} - {UNGRANTED, ACCOUNT, ANYBODY}
    assert needed | LOOKED_AT == NAMES
    assert len(PERMISSIONS) == len(NAMES)


def test_who_may_more_may_all_that_who_may_less_may() -> None:
    *_, viewer, analyst, admin, owner = (
        (),
        *(permissions_of(role) for role in ("viewer", "analyst", "admin", "owner")),
    )
    assert viewer < analyst < admin <= owner


def test_what_a_service_declares_that_it_asks_somebody_answers() -> None:
    asked = {(service.name, each.name) for service in SERVICES for each in service.asks}
    assert asked == {(service, name) for name, may in MAY.items() for service in may - {*ROLES, *OTHERS}}
