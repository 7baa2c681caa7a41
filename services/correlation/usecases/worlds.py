"""The facts of a scan, as rules and people look at them."""

from contextlib import suppress
from uuid import UUID

from services.contracts.claims import Malformed
from services.contracts.entities import ENTITY_TYPES
from services.contracts.targets import recognise
from services.correlation.domain.world import Place
from services.correlation.store import graph as graphs
from services.correlation.store import pending
from services.correlation.store.graph import GraphWorld
from services.correlation.usecases import rules
from services.kernel.errors import Invalid
from services.kernel.service import Ports


async def world_of(ports: Ports, workspace: UUID, scan: UUID) -> tuple[GraphWorld, int]:
    """The facts of a scan, and as of when it is judged: 0 where it never was."""
    await graphs.declare(ports.graph)
    async with ports.sql.read() as view:
        state = await pending.read_scan(view, workspace, scan)
    began = 0 if state is None else state.began
    judge = (await rules.in_force(ports, workspace, began)).judge
    return GraphWorld(ports.graph, graphs.space_of(workspace, scan), judge), began


async def named_in(world: GraphWorld, value: str, kind: str | None = None) -> list[Place]:
    """The entities of a scan that are called so, as a person may write it, of one type or of any.

    Raises:
        Invalid: there is no such type.
    """
    if kind is not None and kind not in ENTITY_TYPES:
        raise Invalid(f"{kind[:60]!r} is no type of entity")
    types = [kind] if kind else list(ENTITY_TYPES)
    ids = []
    for each in types:
        with suppress(Malformed):
            ids.append(recognise(value, type=each).id)
    known = await world.places(ids)
    found = {each: known[each] for each in ids if each in known}
    if not found:
        found = {place.id: place for place in await world.find(value, types)}
    return list(found.values())
