"""How much work is in flight: sizes of batches, and whose turn it is."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from services.contracts.plan import PlannedModule
from services.scans.settings import BATCH_ITEMS, MODULE_WINDOW, RATED_WINDOW, SCAN_WINDOW, WORKSPACE_WINDOW

#: A batch of a source with a rate is what it answers in about this many seconds.
SECONDS_A_BATCH: Final = 10.0
#: Requests that a batch of a module without a rate makes at most; look-ups of names are much faster than all others.
REQUESTS_A_BATCH: Final = {"passive": 2_000.0, "active": 2_000.0, "dns": 100_000.0, "guess": 100_000.0}
#: Items in a batch of a module that talks to the target, which may be slow, for each that it works on at a time.
ACTIVE_ROUNDS: Final = 2


class Load(Struct):
    """What a module has to do in a scan: items that may be handed out, items and batches in flight."""

    number: int
    ready: int
    leased: int
    batches: int


def batch_size(module: PlannedModule, collectors: int = 1) -> int:
    """How many items of ``module`` make a batch; with several collectors fewer, so that all of them have some."""
    cost = max(module.cost, 0.01)
    size = REQUESTS_A_BATCH.get(module.activity, 2_000.0) / cost
    if module.rate > 0:
        size = min(size, SECONDS_A_BATCH * module.rate / cost)
    if module.activity == "active":
        size = min(size, max(8, module.concurrency * ACTIVE_ROUNDS))
    whole = max(1, min(BATCH_ITEMS, int(size)))
    return min(whole, max(module.concurrency, whole // collectors))


def part_size(module: PlannedModule, ready: int, collectors: int) -> int:
    """How many of ``ready`` items make the next batch: as they become fewer, so do those of a batch.

    A collector that took a whole one as the last would still work on it when the others have nothing left.
    """
    whole = batch_size(module, collectors)
    if collectors == 1 or module.rate > 0:
        return whole
    least = max(1, module.concurrency // MODULE_WINDOW)  # so that the window has as many as can be worked on at a time
    return min(whole, max(least, -(-ready // (2 * collectors))))


def room_of(running: int, collectors: int = 1) -> int:
    """How many batches one scan may have in flight when ``running`` scans of its workspace share the window."""
    return max(SCAN_WINDOW, WORKSPACE_WINDOW // max(1, running)) * collectors


def next_load(loads: Iterable[Load], modules: Mapping[int, PlannedModule], collectors: int = 1) -> Load | None:
    """The module to hand a batch to: the one with the fewest in flight, the first of the plan among equals.

    What a source with a rate may be asked is one collector's work however many there are. A part of a batch goes out
    only while its module has nothing else to work on, so that batches fill under load.
    """
    best: Load | None = None
    for load in loads:
        module = modules[load.number]
        if load.ready <= 0 or load.batches >= (RATED_WINDOW if module.rate > 0 else MODULE_WINDOW * collectors):
            continue
        if load.ready < batch_size(module, collectors) and load.leased >= module.concurrency * collectors:
            continue
        if best is None or load.batches < best.batches:
            best = load
    return best
