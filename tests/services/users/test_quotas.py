"""What a workspace may use: what is usual, unless an operator has set something else of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.contracts.endpoints import GET_SETTINGS
from services.contracts.resources import Quotas, SetQuotas, SettingsView, WorkspaceRef
from services.kernel.calls import Caller, CallsOf, LocalCalls, Nothing, operator
from services.kernel.errors import NotFound, Unavailable
from services.kernel.messages import EVERYWHERE
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports
from services.kernel.sql import migrations
from services.users.service import service
from services.users.usecases import quotas
from tests.stores import Stores

OURS, THEIRS = UUID(int=1), UUID(int=2)
OPERATOR = operator(EVERYWHERE)


class Configuration:
    """What is set of users."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"log": "info"}
        self.away = False

    async def get_settings(self, *_: Any) -> SettingsView:
        if self.away:
            raise Unavailable("configuration is away")
        return SettingsView(service="users", version=1, values=self.values)


@pytest.fixture
def configuration() -> Configuration:
    return Configuration()


@pytest.fixture
async def ports(tmp_path: Path, stores: Stores, configuration: Configuration) -> AsyncIterator[Ports]:
    sql = stores.open(tmp_path / "users.db")
    await sql.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
    calls = LocalCalls({"users": service.asks})
    calls.serve(None, {GET_SETTINGS: configuration.get_settings})
    opened = Ports("users", sql=sql, calls=CallsOf("users", calls))
    opened.outbox = Outbox(sql, None, "users")  # type: ignore[arg-type]
    yield opened
    await sql.close()


async def allowed(ports: Ports, workspace: UUID) -> Quotas:
    return await quotas.get_quotas(ports, Caller(workspace, "jo").through("scans"), Nothing())


async def test_there_are_none_until_somebody_sets_some(ports: Ports) -> None:
    assert await allowed(ports, OURS) == Quotas()


async def test_an_exception_holds_for_its_workspace_and_what_is_usual_for_the_rest(
    ports: Ports, configuration: Configuration
) -> None:
    configuration.values |= {"scans": 5, "storage": 10**9}
    said = await quotas.set_quotas(ports, OPERATOR, SetQuotas(workspace=OURS, scans=9, items=0))
    assert said.allowed == await allowed(ports, OURS) == Quotas(scans=9, items=0, storage=10**9)
    assert said.usual == await allowed(ports, THEIRS) == Quotas(scans=5, storage=10**9)
    again = await quotas.set_quotas(ports, OPERATOR, SetQuotas(workspace=OURS))
    assert again == await quotas.show_quotas(ports, OPERATOR, WorkspaceRef(OURS))
    assert (again.allowed, again.exceptions) == (said.usual, Quotas())


async def test_what_is_usual_is_as_it_was_while_nobody_says_it_and_not_nothing_before_somebody_has(
    ports: Ports, configuration: Configuration
) -> None:
    configuration.values["items"] = 7
    configuration.away = True
    with pytest.raises(Unavailable):
        await allowed(ports, OURS)
    with pytest.raises(Unavailable):
        await quotas.set_quotas(ports, OPERATOR, SetQuotas(workspace=OURS, items=9))
    configuration.away = False
    assert await allowed(ports, OURS) == Quotas(items=7)
    configuration.away = True
    assert await allowed(ports, OURS) == Quotas(items=7)


async def test_nobody_sets_quotas_of_a_workspace_that_there_is_not(ports: Ports) -> None:
    jo = Caller(EVERYWHERE, "jo", account=UUID(int=3))
    for asked in (
        quotas.set_quotas(ports, jo, SetQuotas(workspace=OURS, scans=3)),
        quotas.show_quotas(ports, jo, WorkspaceRef(OURS)),
    ):
        with pytest.raises(NotFound, match="no such workspace"):
            await asked
    assert await allowed(ports, OURS) == Quotas()
