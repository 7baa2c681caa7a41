from collections.abc import Sequence
from contextlib import suppress

from services.contracts.endpoints import GET_ANNOUNCEMENT, LIST_KEYS
from services.contracts.facts import DeclaredModule
from services.contracts.resources import AnnouncementQuery, Health, Module, ModuleSettings
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import NotFound, Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports
from services.registry import store
from services.registry.domain import check_options, fit_options


async def list_modules(ports: Ports, caller: Caller) -> tuple[Module, ...]:
    """Every known module as the caller's workspace sees it, by id.

    Raises:
        Unavailable: no collector has ever said which modules it has.
    """
    known = await _known(ports, caller)
    async with ports.sql.read() as view:
        settings = await store.read_settings(view, caller.workspace)
        health = await store.read_health(view)
    keys = {key.name for key in await ports.calls.ask(LIST_KEYS, Nothing(), caller) if key.opens}
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
    """What is known, once what the collector that answers has is known as well.

    While collectors of two versions run beside each other, that is what one of them has; what is for the other one
    they sort out with scans.
    """
    with suppress(Unavailable):  # without a collector, what was announced before is what there is
        known = await store.last_announced(ports.documents)
        announced = await ports.calls.ask(GET_ANNOUNCEMENT, AnnouncementQuery(known), caller)
        if announced.digest != known:
            await take_announcement(ports, announced.digest, announced.modules, now())
    modules = await store.read_modules(ports.documents)
    if not modules:
        raise Unavailable("no collector has said yet which modules it has")
    return modules


async def take_announcement(ports: Ports, digest: str, modules: Sequence[DeclaredModule], at: int) -> None:
    """Make the modules that a collector has the live ones, unless one said later what it has."""
    async with ports.sql.begin() as tx:
        await store.keep_announcement(tx, ports.documents, digest, modules, at)


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
