"""An instance that is kept in Consul for as long as it lives: looked after on a timer, registered again when lost."""

import asyncio
import contextlib
import random
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from msgspec import Struct

from services.kernel.consul import Consul, Registered
from services.kernel.directory import Instance
from services.kernel.errors import MirageError
from services.kernel.pauses import pauses

#: Where an id stands that is not the one that Consul has, which must be unique over all services of an agent.
ID_KEY: Final = "mirage-id"
#: Seconds between two tries while Consul does not answer.
LONGEST_PAUSE: Final = 2.0

_log = structlog.get_logger(__name__)


class Check(Struct, frozen=True, kw_only=True):
    """How Consul finds out that an instance is not well. Seconds.

    An instance that dies refuses connections at once, one that hangs lets the question time out: with two failures in
    a row it is out after at most 2 x ``interval``, or 2 x (``interval`` + ``timeout``), which is 14. The first result
    after a registration counts alone, which is why that is repeated only when it was lost. An instance that nobody can
    dial says itself that it is well, three times in ``ttl``. What was critical for ``forgotten`` is removed from the
    agent, which looks for that every half minute.
    """

    path: str = "/health/ready"
    interval: float = 5.0
    timeout: float = 2.0
    failures: int = 2
    ttl: float = 10.0
    forgotten: float = 120.0


class Registration:
    """``instance`` in Consul, under the service's name with ``prefix``."""

    def __init__(self, consul: Consul, prefix: str, instance: Instance, check: Check, interval: float) -> None:
        self.instance = instance
        self.repeated = 0
        self.well = True
        self._consul = consul
        self._service = prefix + instance.service
        self._id = consul_id(prefix, instance.service, instance.id)
        self._meta = dict(instance.meta) if self._id == prefix + instance.id else instance.meta | {ID_KEY: instance.id}
        self._check = check
        self._interval = interval
        self._turn = asyncio.Lock()
        self._left = False
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Register it, and keep it so from then on."""
        async with self._turn:
            await self._register()
            if not self._left:
                self._running = asyncio.create_task(self._keep())

    async def leave(self) -> None:
        """Take it out of Consul; it is no longer kept there, also if that fails."""
        await self.stop()
        async with self._turn:
            await self._consul.deregister(self._id)

    async def stop(self) -> None:
        """Leave it there, and look after it no more."""
        self._left = True
        # What is under way ends first: a registration must not arrive after the instance has left.
        async with self._turn:
            running, self._running = self._running, None
        if running is not None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def _keep(self) -> None:
        every = min(self._interval, self._check.ttl / 3) if self._dialled is None else self._interval
        failing = pauses(longest=LONGEST_PAUSE)
        pause = every
        while True:
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))
            try:
                async with self._turn:
                    await self._look()
            except MirageError as error:
                _log.warning("an instance is not looked after", id=self._id, reason=str(error))
                pause = next(failing)
            else:
                failing, pause = pauses(longest=LONGEST_PAUSE), every

    async def _look(self) -> None:
        found = await self._consul.registered(self._id)
        lost = found is None or not self._is(found)
        if lost or (self._dialled is None and not await self._consul.beat(self._check_id)):
            await self._register()
            self.repeated += 1
            _log.info("an instance was registered again", id=self._id)
        self.well = found is not None and found.aggregated_status == "passing"

    def _is(self, found: Registered) -> bool:
        """Whether the agent has what was registered, with the check that takes it out when it dies."""
        host, port = self.instance.host_port
        has = found.service
        return (
            (has.service, has.address, has.port, has.meta or {}) == (self._service, host, port, self._meta)
            and any(each.check_id == self._check_id for each in found.checks or ())
        )  # fmt: skip

    async def _register(self) -> None:
        host, port = self.instance.host_port
        await self._consul.register(self._service, self._id, host, port, self._meta, self._definition())

    @property
    def _dialled(self) -> str | None:
        return self.instance.address if self.instance.host_port[1] else None

    @property
    def _check_id(self) -> str:
        return f"service:{self._id}"

    def _definition(self) -> dict[str, Any]:
        check = self._check
        watched = (
            {"TTL": f"{check.ttl}s"}
            if self._dialled is None
            else {
                "HTTP": f"http://{self._dialled}{check.path}?{asked_of(self.instance.service, self.instance.id)}",
                "Interval": f"{check.interval}s",
                "Timeout": f"{check.timeout}s",
                "FailuresBeforeCritical": check.failures,
            }
        )
        return {
            "CheckID": self._check_id,
            # It registers when it is ready; what a check that is there already says of it stays.
            "Status": "passing",
            "DeregisterCriticalServiceAfter": f"{check.forgotten}s",
            **watched,
        }


def asked_of(service: str, id: str) -> str:
    """The query by which a check names whom it means: at its port may be another by now, who says so."""
    return urlencode({"service": service, "instance": id})


def consul_id(prefix: str, service: str, id: str) -> str:
    """The id of an instance at its agent, ``<service>-<id>`` unless it is called so already."""
    return prefix + (id if id.startswith(f"{service}-") else f"{service}-{id}")
