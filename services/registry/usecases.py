import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Self

from services.contracts.endpoints import GET_ANNOUNCEMENT, LIST_KEYS
from services.contracts.resources import Health, Module, ModuleSettings
from services.kernel.calls import Caller, Nothing
from services.kernel.documents import Documents
from services.kernel.errors import NotFound, Unavailable
from services.kernel.service import Ports
from services.registry import store
from services.registry.domain import check_options, fit_options

#: Seconds that a collector which is there may take to say which modules it has.
ANNOUNCED_WITHIN: Final = 10.0
#: Seconds after which it is looked up what other instances have taken in.
OTHERS_EVERY: Final = 0.25


class Announcements:
    """The announcements that were taken in, for who waits for one: by this process, or by another instance."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._digests: set[str] = set()
        self._next = asyncio.Event()

    @classmethod
    def of(cls, ports: Ports) -> Self:
        """Those of this process."""
        found = ports.state.get("announcements")
        if found is None:
            found = ports.state["announcements"] = cls(ports.documents)
        assert isinstance(found, cls)
        return found

    def note(self, digests: Iterable[str]) -> None:
        """Let whoever waits know which were taken in."""
        self._digests.update(digests)
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, digest: str = "") -> None:
        """Wait until one was taken in, of ``digest`` if that is said, and no longer than `ANNOUNCED_WITHIN`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCED_WITHIN):
                while not (digest in self._digests if digest else self._digests):
                    await self._hear(digest)
        self._digests.add(digest)  # whoever comes next need not wait for it again

    async def _hear(self, digest: str) -> None:
        """Wait a moment for the next one that this process takes in, then see whether another has that one."""
        try:
            async with asyncio.timeout(OTHERS_EVERY):
                await self._next.wait()
        except TimeoutError:
            if digest and await store.last_announced(self._documents) == digest:
                self._digests.add(digest)


async def list_modules(ports: Ports, caller: Caller) -> tuple[Module, ...]:
    """Every known module as the caller's workspace sees it, by id.

    Raises:
        Unavailable: no collector has ever said which modules it has.
    """
    known = await _known(ports, caller)
    async with ports.sql.read() as view:
        settings = await store.read_settings(view, caller.workspace)
        health = await store.read_health(view)
    keys = {key.name for key in await ports.calls.ask(LIST_KEYS, Nothing(), caller)}
    unset = store.Setting()
    return tuple(
        Module(
            declared=module.declared,
            enabled=settings.get(module.declared.id, unset).enabled is not False,
            options=fit_options(module.declared, settings.get(module.declared.id, unset).options or {}),
            health=health.get(module.declared.id, Health()),
            live=module.live,
            has_key=module.declared.key in keys,
        )
        for module in sorted(known, key=lambda module: module.declared.id)
    )


async def _known(ports: Ports, caller: Caller) -> list[store.Known]:
    """What is known once the announcement of the collector that answers was taken in, and some module is live."""
    announcements = Announcements.of(ports)
    with suppress(Unavailable):  # without a collector, what was announced before is what there is
        announced = (await ports.calls.ask(GET_ANNOUNCEMENT, Nothing(), caller)).digest
        if announced != await store.last_announced(ports.documents):
            await announcements.wait(announced)
    known = await store.read_modules(ports.documents)
    if not any(module.live for module in known):
        await announcements.wait()
        known = await store.read_modules(ports.documents)
    if not known:
        raise Unavailable("no collector has said yet which modules it has")
    return known


async def get_module(ports: Ports, caller: Caller, name: str) -> Module:
    """One module; `NotFound` names those that sound like it."""
    modules = {module.declared.id: module for module in await list_modules(ports, caller)}
    if name not in modules:
        from difflib import get_close_matches

        near = get_close_matches(name, modules, n=3)
        raise NotFound(f"there is no module {name}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    return modules[name]


async def set_module(ports: Ports, caller: Caller, settings: ModuleSettings) -> Module:
    """Change a workspace's settings of a module."""
    module = await get_module(ports, caller, settings.module)
    checked = None if settings.options is None else check_options(module.declared, settings.options)
    async with ports.sql.begin() as tx:
        await store.hold_setting(tx, caller.workspace, settings.module)
        before = (await store.read_settings(tx, caller.workspace)).get(settings.module, store.Setting())
        options = None if checked is None else {**(before.options or {}), **checked}
        await store.write_setting(tx, caller.workspace, settings.module, store.Setting(settings.enabled, options))
    return await get_module(ports, caller, settings.module)
