"""What a workspace says is signed by a key of its own, for the service that may say it, and for no other."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from services.auth.usecases import statements
from services.catalogue import load_services
from services.contracts.authorisations import AUTHORISATION_TYPE
from services.contracts.endpoints import SIGN_STATEMENT
from services.contracts.resources import NewStatement, WorkspaceRef
from services.kernel.calls import Caller, operator
from services.kernel.errors import Corrupt, Denied, NotFound
from services.kernel.service import Ports
from services.kernel.signatures import verify
from tests.services.auth.home import Home

OURS, THEIRS = UUID(int=1), UUID(int=2)


async def signed(home: Home, workspace: UUID, payload: bytes = b"{}", service: str = "scans") -> str:
    caller = Caller(workspace, "jo").through(service)
    return (await statements.sign_statement(home.ports, caller, NewStatement(payload))).signed


async def published(home: Home, workspace: UUID) -> list[dict[str, str]]:
    found = await statements.publish_workspace_keys(home.ports, Caller(workspace, "jo"), WorkspaceRef(workspace))
    return list(found.keys)


async def test_what_is_signed_in_a_workspace_is_verified_by_its_key_and_by_no_other(home: Home) -> None:
    said = await signed(home, OURS, b'{"why":"x"}')
    await signed(home, THEIRS)
    assert verify(said, AUTHORISATION_TYPE, await published(home, OURS)) == b'{"why":"x"}'
    with pytest.raises(Corrupt, match="none of the workspace"):
        verify(said, AUTHORISATION_TYPE, await published(home, THEIRS))


async def test_a_workspace_has_one_key_which_stays(home: Home) -> None:
    assert await published(home, OURS) == []
    await signed(home, OURS)
    (key,) = await published(home, OURS)
    home.ports.state.clear()
    home.clock.forward(400 * 86_400)
    again = await signed(home, OURS)
    assert await published(home, OURS) == [key]
    assert verify(again, AUTHORISATION_TYPE, [key]) == b"{}"
    assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}, "and nothing that is secret"


async def test_two_that_make_the_key_at_once_make_one(home: Home) -> None:
    other = Ports("auth", sql=home.ports.sql, seal=home.ports.seal)
    caller = Caller(OURS, "jo").through("scans")
    both = await asyncio.gather(
        *(statements.sign_statement(ports, caller, NewStatement(b"{}")) for ports in (home.ports, other))
    )
    keys = await published(home, OURS)
    assert len(keys) == 1
    assert [verify(each.signed, AUTHORISATION_TYPE, keys) for each in both] == [b"{}", b"{}"]


async def test_nobody_has_a_statement_signed_that_is_not_his_to_make(home: Home) -> None:
    for caller in (operator(OURS), Caller(OURS, "jo"), *(Caller(OURS, "jo").through(name) for name in ("storage", ""))):
        with pytest.raises(Denied):
            await statements.sign_statement(home.ports, caller, NewStatement(b"{}"))
    asking = {service.name for service in load_services() if SIGN_STATEMENT in service.asks}
    assert asking == statements.TYPES.keys()
    assert len(set(statements.TYPES.values())) == len(statements.TYPES)


async def test_the_keys_of_a_workspace_are_shown_within_it_alone(home: Home) -> None:
    await signed(home, OURS)
    with pytest.raises(NotFound):
        await statements.publish_workspace_keys(home.ports, Caller(THEIRS, "jo"), WorkspaceRef(OURS))


async def test_a_key_at_rest_is_sealed(home: Home, tmp_path: Path) -> None:
    await signed(home, OURS)
    async with home.ports.sql.read() as view:
        ((sealed, public),) = await view.fetch("SELECT sealed, published FROM workspace_key")
    assert '"d"' not in public
    assert sealed.startswith("v1.")
