"""`directory` on Consul: services register themselves with their node's agent and are found by blocking queries."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from services.kernel.consul import WAIT_SECONDS, Consul, Entry, jittered
from services.kernel.directory import LOCAL, Directory, Instance, Known, check_instance
from services.kernel.directory.registration import ID_KEY, Check, Registration, consul_id
from services.kernel.errors import Unavailable
from services.kernel.hostport import join_host_port
from services.kernel.long_poll import Answer, LongPoll
from services.kernel.server import Server

#: Seconds between two looks at what this process has registered.
RECONCILE_SECONDS: Final = 10.0
#: Seconds after an absence of Consul in which nobody is out for lack of a registration or a passed check: by then what
#: was lost is registered again, and an agent that was started again has run each check.
PATIENCE_SECONDS: Final = 15.0
#: Seconds that a process waits to see in its own list what it has just registered.
SEEN_SECONDS: Final = 2.0


class ConsulDirectory(Directory):
    """Instances under their service's name; a path in the URL goes before it, for fleets that share a Consul."""

    def __init__(
        self,
        server: Server,
        *,
        check: Check = Check(),  # noqa: B008  frozen
        reconcile: float = RECONCILE_SECONDS,
        wait: float = WAIT_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._consul = Consul(server)
        self._prefix = f"{server.path}-" if server.path else ""
        self._check = check
        self._reconcile = reconcile
        self._wait = wait
        self._patience = patience
        self._registered: dict[tuple[str, str], Registration] = {}
        self._polls: dict[str, LongPoll[Instance]] = {}
        self._closed = False

    async def register(self, instance: Instance) -> None:
        self._check_open()
        check_instance(instance)
        key = (instance.service, instance.id)
        known = self._registered.get(key)
        if known is not None:
            if known.instance == instance:
                return
            await known.stop()
        registration = Registration(self._consul, self._prefix, instance, self._check, self._reconcile)
        self._registered[key] = registration
        try:
            await registration.begin()
        except BaseException:
            if self._registered.get(key) is registration:
                del self._registered[key]
            raise
        await self._see(instance.service)

    async def deregister(self, service: str, id: str) -> None:
        self._check_open()
        known = self._registered.pop((service, id), None)
        if known is not None:
            await known.leave()
        else:
            await self._consul.deregister(consul_id(self._prefix, service, id))
        await self._see(service)

    async def resolve(self, service: str) -> list[Instance]:
        self._check_open()
        return list((await self._poll(service).latest()).values())

    async def survey(self, service: str) -> list[Known]:
        self._check_open()
        _, entries = await self._consul.instances(self._prefix + service)
        known = [Known(self._instance(service, entry), entry.passes) for entry in entries]
        return sorted(known, key=lambda each: each.instance.id)

    async def watch(self, service: str) -> AsyncIterator[list[Instance]]:
        self._check_open()
        async with contextlib.aclosing(self._poll(service).changes()) as lists:
            async for found in lists:
                yield list(found.values())

    async def ping(self) -> None:
        self._check_open()
        await self._consul.ping()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for registration in self._registered.values():
            await registration.stop()
        for poll in self._polls.values():
            await poll.close()
        await self._consul.close()

    def measures(self) -> dict[str, float]:
        registered = self._registered.values()
        return {
            "calls": self._consul.calls,
            "watched": len(self._polls),
            "stale_seconds": max((poll.away for poll in self._polls.values()), default=0.0),
            "registered": len(registered),
            "registered_not_well": sum(not each.well for each in registered),
            "registered_again": sum(each.repeated for each in registered),
        }

    def _poll(self, service: str) -> LongPoll[Instance]:
        poll = self._polls.get(service)
        if poll is None:

            async def ask(index: int, wait: float) -> tuple[int, Answer[Instance]]:
                found, entries = await self._consul.instances(self._prefix + service, index, wait)
                return found, self._answer(service, entries)

            poll = self._polls[service] = LongPoll(ask, wait=jittered(self._wait), patience=self._patience)
        return poll

    async def _see(self, service: str) -> None:
        """Let this process find what it has just done; a Consul that does not answer now will be asked again."""
        if service in self._polls:
            with contextlib.suppress(TimeoutError, Unavailable):
                async with asyncio.timeout(SEEN_SECONDS):
                    await self._polls[service].refresh()

    def _answer(self, service: str, entries: list[Entry]) -> Answer[Instance]:
        named = [(self._instance(service, entry), entry.passes) for entry in entries]
        named.sort(key=lambda each: each[0].id)
        return Answer(
            {instance.id: instance for instance, passes in named if passes},
            frozenset(instance.id for instance, passes in named if not passes),
        )

    def _instance(self, service: str, entry: Entry) -> Instance:
        has = entry.service
        meta = dict(has.meta or {})
        own_id = meta.pop(ID_KEY, has.id.removeprefix(self._prefix))
        address = join_host_port(has.address or entry.node.address, has.port) if has.port else LOCAL
        return Instance(service=service, id=own_id, address=address, meta=meta)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the directory is closed")
