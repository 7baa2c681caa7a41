"""The dead letters of a fleet, read from its bus by the user that may do everything."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from services.cli.fleet.deployment import Deployment
from services.cli.fleet.infra import USER
from services.cli.fleet.ports import HOST
from services.kernel import letters
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.calls import Calls, LocalCalls, operator
from services.kernel.messages import workspace_id
from services.kernel.server import Server


class FleetLetters:
    """Opens the bus of the fleet in a folder."""

    def __init__(self, folder: Path) -> None:
        self._fleet = Deployment(folder)
        self._calls = LocalCalls()
        self._stack = AsyncExitStack()
        self.caller = operator(workspace_id("default"))

    @property
    def calls(self) -> Calls:
        return self._calls

    def open(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        url = f"nats://{USER}:{self._fleet.secrets.admin}@{HOST}:{self._fleet.agents.ports.nats}"
        bus = JetStreamBus(Server.parse(url))
        self._stack.push_async_callback(bus.close)
        self._calls.serve(bus, letters.DOORS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
