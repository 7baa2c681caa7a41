"""What changed between two scans; a thing is gone only where all who said it were asked the same again and answered.

By the same rule it is new only where all who say it were asked the same before and answered; else it is newly known.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from services.contracts.endpoints import GET_PLAN
from services.contracts.resources import Change, DiffQuery, ScanId
from services.kernel.calls import Caller
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage.domain import Question, comparable, direct, gone_or_unknown
from services.storage.store import reached, reading, retractions
from services.storage.store.reading import StoredClaim
from services.storage.usecases.compared import by_saying, describe, grouped, modules, positive

BATCH = 500
#: Of an entity that nobody describes, relations each way that tell who named it.
NAMING = 20


async def diff_scans(ports: Ports, caller: Caller, query: DiffQuery) -> AsyncGenerator[Change, None]:
    """Stream the differences of two scans."""
    plans = [await ports.calls.ask(GET_PLAN, ScanId(scan), caller) for scan in (query.before, query.after)]
    async with ports.sql.read() as view:
        async for change in diff(view, caller.workspace, query.before, query.after, comparable(*plans), direct(*plans)):
            yield change


class Side(Struct, frozen=True):
    """One of the two scans, the modules that both asked in the same way, and those that ask targets themselves."""

    view: Reader
    workspace: UUID
    scan: UUID
    comparable: frozenset[str]
    direct: frozenset[str]

    async def answered(self, asked: Iterable[Question]) -> set[Question]:
        """Those that were asked the same in this scan and answered completely, with nothing of it withdrawn."""
        alike = [question for question in asked if question[0] in self.comparable]
        found = await reading.answered(self.view, self.workspace, self.scan, alike)
        return found - await retractions.doubted(self.view, self.workspace, self.scan, found)

    async def elsewhere(self, groups: Sequence[Sequence[StoredClaim]]) -> list[bool]:
        """For what each group says: whether it is about a service that this scan did not come by, or may not have.

        Who asks a name is led to one of its addresses, and learns nothing of the services at the others.
        """
        told = [[claim for claim in group if claim.module in self.direct] for group in groups]
        about = {claim.about for group in told for claim in group}
        addresses = await reached.service_addresses(self.view, self.workspace, about)
        placed = [
            [(_asked(claim), addresses[claim.about]) for claim in group if claim.about in addresses] for group in told
        ]
        asked = {question for group in placed for question, _ in group}
        led_to = await reached.led_to(self.view, self.workspace, self.scan, asked)
        return [any(address not in led_to.get(question, {address}) for question, address in group) for group in placed]


async def diff(
    view: Reader, workspace: UUID, before: UUID, after: UUID, comparable: frozenset[str], direct: frozenset[str]
) -> AsyncIterator[Change]:
    """Yield changes: what is new or changed in ``after``, then what ``before`` had alone; see `Side`."""
    earlier = Side(view, workspace, before, comparable, direct)
    later = Side(view, workspace, after, comparable, direct)
    async for subjects in reading.told_of(view, workspace, after, BATCH):
        old = grouped(await reading.claims_about(view, workspace, subjects, before))
        new = grouped(await reading.claims_about(view, workspace, subjects, after))
        async for change in _compare(earlier, later, subjects, old, new):
            yield change
    async for subjects in reading.told_of(view, workspace, before, BATCH):
        new = grouped(await reading.claims_about(view, workspace, subjects, after))
        missing = [subject for subject in subjects if not positive(new.get(subject, ()))]
        old = grouped(await reading.claims_about(view, workspace, missing, before))
        async for change in _lost(later, missing, old):
            yield change


def _asked(claim: StoredClaim) -> Question:
    return claim.module, claim.subject


def _all_asked(claims: Iterable[StoredClaim]) -> set[Question]:
    return set(map(_asked, claims))


async def _untold(earlier: Side, later: Side, groups: Sequence[Sequence[StoredClaim]]) -> list[bool]:
    """For what each group says: whether the earlier scan could not have been told it.

    It could not where one of the questions was not answered then, or asked elsewhere. A question about an entity that
    was not known then could not be asked: of it, those decide that led to the entity.
    """
    open_groups: dict[int | bytes, set[Question]] = {place: _all_asked(group) for place, group in enumerate(groups)}
    rests_on: dict[int | bytes, set[bytes]] = {}
    untold: set[int | bytes] = set()
    while open_groups:
        answered = await earlier.answered({question for asked in open_groups.values() for question in asked})
        silent = {place: {subject for _, subject in asked - answered} for place, asked in open_groups.items()}
        unseen = await reading.unseen(
            earlier.view, earlier.workspace, earlier.scan, list({each for about in silent.values() for each in about})
        )
        # An entity that no answer led to was asked for by name.
        untold.update(place for place, about in silent.items() if about - unseen.keys() or not open_groups[place])
        rests_on.update((place, about & unseen.keys()) for place, about in silent.items())
        open_groups = await _led_to(later, {entity: n for entity, n in unseen.items() if entity not in rests_on})
    while more := {place for place, entities in rests_on.items() if place not in untold and entities & untold}:
        untold |= more
    elsewhere = await earlier.elsewhere(groups)
    return [place in untold or elsewhere[place] for place in range(len(groups))]


async def _led_to(later: Side, entities: Mapping[bytes, int]) -> dict[int | bytes, set[Question]]:
    """The questions whose answers named entities in the later scan, but for those about each itself."""
    numbers = list(entities.values())
    said = grouped(await reading.claims_about(later.view, later.workspace, numbers, later.scan))
    named = await reading.vouching(later.view, later.workspace, later.scan, numbers, NAMING)
    return {
        entity: _others(positive(said.get(number, ())), entity) or _others(named.get(number, ()), entity)
        for entity, number in entities.items()
    }


def _others(claims: Iterable[StoredClaim], entity: bytes) -> set[Question]:
    return {question for question in _all_asked(claims) if question[1] != entity}


async def _compare(
    earlier: Side,
    later: Side,
    subjects: Sequence[int],
    old: dict[int, tuple[StoredClaim, ...]],
    new: dict[int, tuple[StoredClaim, ...]],
) -> AsyncIterator[Change]:
    fresh = [subject for subject in subjects if not positive(old.get(subject, ()))]
    untold = await _untold(earlier, later, [positive(new[subject]) for subject in fresh])
    for kind, known in (("new", False), ("newly_known", True)):
        of_kind = [subject for subject, was_untold in zip(fresh, untold, strict=True) if was_untold is known]
        for change in await _describe(later, kind, of_kind, new):
            yield change
    added: list[list[StoredClaim]] = []
    vanished: list[list[StoredClaim]] = []
    for subject in subjects:
        if positive(old.get(subject, ())):
            was, is_now = by_saying(old[subject]), by_saying(new[subject])
            added += [group for said, group in is_now.items() if said not in was]
            vanished += [group for said, group in was.items() if said not in is_now]
    untold = await _untold(earlier, later, added)
    for group, was_untold, spoken in zip(
        added,
        untold,
        await reading.spoken(later.view, later.workspace, [group[0] for group in added]),
        strict=True,
    ):
        kind = "newly_known" if was_untold else "changed"
        yield describe(kind, spoken, f"now {group[0].name} = {group[0].value}", modules(group))
    asked = [_asked(claim) for group in vanished for claim in group]
    answered = await later.answered(asked)
    gone = [
        group
        for group, elsewhere in zip(vanished, await later.elsewhere(vanished), strict=True)
        if not elsewhere and gone_or_unknown(list(map(_asked, group)), answered) == "gone"
    ]
    for group, spoken in zip(
        gone, await reading.spoken(later.view, later.workspace, [group[0] for group in gone]), strict=True
    ):
        yield describe("changed", spoken, f"no longer {group[0].name} = {group[0].value}", modules(group))


async def _lost(later: Side, subjects: Sequence[int], old: dict[int, tuple[StoredClaim, ...]]) -> AsyncIterator[Change]:
    asked = [_asked(claim) for subject in subjects for claim in old.get(subject, ())]
    answered = await later.answered(asked)
    groups = [positive(old.get(subject, ())) for subject in subjects]
    by_kind: dict[str, list[int]] = {"gone": [], "unknown": []}
    for subject, group, elsewhere in zip(subjects, groups, await later.elsewhere(groups), strict=True):
        kind = "unknown" if elsewhere else gone_or_unknown(list(map(_asked, group)), answered)
        by_kind[kind].append(subject)
    for kind, lost in by_kind.items():
        for change in await _describe(later, kind, lost, old):
            yield change


async def _describe(
    later: Side, kind: str, subjects: Sequence[int], claims: dict[int, tuple[StoredClaim, ...]]
) -> Iterator[Change]:
    first = [positive(claims[subject])[0] for subject in subjects if positive(claims.get(subject, ()))]
    spoken = await reading.spoken(later.view, later.workspace, first)
    return iter(
        [
            describe(kind, claim, "", modules(positive(claims[row.about])))
            for row, claim in zip(first, spoken, strict=True)
        ]
    )
