from collections.abc import Sequence
from contextlib import suppress

from services.contracts.endpoints import GET_ANNOUNCEMENT, LIST_KEYS
from services.contracts.facts import ANNOUNCED, DeclaredModule
from services.contracts.resources import Health, Module, ModuleSettings, ModuleVersion
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import NotFound, Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Tx
from services.registry import store
from services.registry.domain import check_options, fit_options, newest


async def list_modules(ports: Ports, caller: Caller) -> tuple[Module, ...]:
    """Every known module as the caller's workspace sees it, by id.

    Raises:
        Unavailable: no collector has ever said which modules it has.
    """
    known = await store.read_modules(ports.documents)
    live = newest((await _announced(ports, caller)).values())
    if not known | live:
        raise Unavailable("no collector has said yet which modules it has")
    async with ports.sql.read() as view:
        settings = await store.read_settings(view, caller.workspace)
        health = await store.read_health(view)
    keys = {key.name for key in await ports.calls.ask(LIST_KEYS, Nothing(), caller) if key.opens}
    unset = store.Setting()
    return tuple(
        Module(
            declared=module,
            enabled=settings.get(name, unset).enabled is not False,
            options=fit_options(module, settings.get(name, unset).options or {}),
            health=health.get(name, Health()),
            live=name in live,
            has_key=module.key in keys,
        )
        for name, module in sorted((known | live).items())
    )


async def list_versions(ports: Ports, caller: Caller) -> tuple[ModuleVersion, ...]:
    """Every module in each version that a collector has which is there now."""
    announced = await _announced(ports, caller)
    found = {(module.id, module.version) for modules in announced.values() for module in modules}
    return tuple(ModuleVersion(module, version) for module, version in sorted(found))


async def _announced(ports: Ports, caller: Caller) -> dict[str, tuple[DeclaredModule, ...]]:
    """What the collectors have that are there now, by its digest; without one, what was announced last.

    The directory says of each which announcement is its. One that is not known yet is asked for; where collectors of
    several versions run beside each other, another one may answer, and then it is known a moment later.
    """
    there: set[str] = set()
    announced: dict[str, tuple[DeclaredModule, ...]] = {}
    with suppress(Unavailable):
        there = {each.meta.get(ANNOUNCED, "") for each in await ports.directory.resolve("collector")}
        announced = await store.read_announcements(ports.documents, there)
        if not there or there - announced.keys():
            told = await ports.calls.ask(GET_ANNOUNCEMENT, Nothing(), caller)
            if told.digest not in await store.read_announcements(ports.documents, [told.digest]):
                await take_announcement(ports, told.digest, told.modules, now())
            announced[told.digest] = told.modules
    if not announced:
        announced = await store.read_announcements(ports.documents, [await store.last_announced(ports.documents)])
    return announced


async def take_announcement(ports: Ports, digest: str, modules: Sequence[DeclaredModule], at: int) -> None:
    """Keep which modules a collector has."""
    async with ports.sql.begin() as tx:
        await keep_announcement(ports, tx, digest, modules, at)


async def keep_announcement(ports: Ports, tx: Tx, digest: str, modules: Sequence[DeclaredModule], at: int) -> None:
    """Keep what a collector announced, and forget what was announced long ago by none that still runs."""
    await store.keep_announcement(tx, ports.documents, digest, modules, at)
    old = await store.old_announcements(ports.documents, before=at - store.KEPT)
    if not old:
        return
    try:
        known = await ports.directory.survey("collector")
    except Unavailable:
        return
    there = {each.instance.meta.get(ANNOUNCED) for each in known}
    await store.forget_announcements(ports.documents, [each for each in old if each not in there])


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
    async with ports.outbox.unit() as unit:
        await store.hold_setting(unit.tx, caller.workspace, settings.module)
        before = (await store.read_settings(unit.tx, caller.workspace)).get(settings.module, store.Setting())
        options = None if checked is None else {**(before.options or {}), **checked}
        await store.write_setting(unit.tx, caller.workspace, settings.module, store.Setting(settings.enabled, options))
    return await get_module(ports, caller, settings.module)
