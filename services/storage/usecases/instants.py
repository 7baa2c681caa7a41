"""What changed between two instants, in what a scan says or in what all say: nothing has to be guessed, it is known."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from uuid import UUID

from services.contracts.resources import Change, InstantsQuery
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage.store import reading
from services.storage.store.reading import StoredClaim
from services.storage.store.when import When
from services.storage.usecases.compared import by_saying, describe, grouped, modules, positive
from services.storage.usecases.diff import BATCH
from services.storage.usecases.stored import check_scans


async def diff_instants(ports: Ports, caller: Caller, query: InstantsQuery) -> AsyncGenerator[Change, None]:
    """Stream what was not known before and is said after, and what is said no more."""
    if query.before > query.after:
        raise Invalid("the first instant is later than the second")
    await check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        async for subjects in reading.changed_between(
            view, caller.workspace, query.scan, query.before, query.after, BATCH
        ):
            old, new = [
                grouped(await reading.claims_about(view, caller.workspace, subjects, query.scan, 1, When(at)))
                for at in (query.before, query.after)
            ]
            async for change in _compare(view, caller.workspace, subjects, old, new):
                yield change


async def _compare(
    view: Reader,
    workspace: UUID,
    subjects: Sequence[int],
    old: Mapping[int, Sequence[StoredClaim]],
    new: Mapping[int, Sequence[StoredClaim]],
) -> AsyncIterator[Change]:
    found: list[tuple[str, str, Sequence[StoredClaim]]] = []
    for subject in subjects:
        was, is_now = positive(old.get(subject, ())), positive(new.get(subject, ()))
        if was and is_now:
            found += _differing(was, is_now)
        elif was or is_now:
            found.append(("new" if is_now else "gone", "", is_now or was))
    spoken = await reading.spoken(view, workspace, [claims[0] for _, _, claims in found])
    for (kind, what, claims), claim in zip(found, spoken, strict=True):
        yield describe(kind, claim, what, modules(claims))


def _differing(
    was: Sequence[StoredClaim], is_now: Sequence[StoredClaim]
) -> Iterable[tuple[str, str, Sequence[StoredClaim]]]:
    """Values of attributes that are said at one of the instants alone."""
    before, after = by_saying(was), by_saying(is_now)
    for word, said, others in (("now", after, before), ("no longer", before, after)):
        for (name, value), claims in said.items():
            if (name, value) not in others:
                yield "changed", f"{word} {name} = {value}", claims
