"""What running scans may hand out and have handed out, as the rows of their modules say it; for measuring alone."""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from services.contracts.plan import PlannedModule
from services.kernel.sql import Reader
from services.scans.store.scans import Key, plan_text


class Ready(NamedTuple):
    """How many items of a module may be handed out now, and are; ``created`` tells scans of a number apart."""

    key: Key
    created: int
    plan_version: int
    module: int
    ready: int
    leased: int


class _Modules(Struct):
    """Of a plan, which may have 100,000 targets, no more than is needed."""

    modules: tuple[PlannedModule, ...]


async def read_ready(view: Reader) -> list[Ready]:
    """All that scans of all workspaces may hand out, or have."""
    rows = await view.fetch(
        "SELECT scan.workspace, scan.number, scan.created, scan.plan_version, source.module,"
        " source.waiting - source.held, source.leased FROM scan"
        " JOIN source ON source.workspace = scan.workspace AND source.scan = scan.number"
        " WHERE scan.state = 'running' AND (source.waiting > source.held OR source.leased > 0)"
    )
    return [Ready(Key(workspace, number), *rest) for workspace, number, *rest in rows]


async def read_modules(view: Reader, key: Key) -> tuple[PlannedModule, ...]:
    """The modules of a scan's plan."""
    return msgspec.json.decode(await plan_text(view, key), type=_Modules).modules
