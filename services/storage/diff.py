"""What changed between two scans; a thing is gone only where all who said it were asked again and answered."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from services.contracts.claims import Claim, Entity, Relation, claim_line
from services.contracts.resources import Change
from services.kernel.sql import Reader
from services.storage.domain import ABSENCE, ATTRIBUTE, gone_or_unknown
from services.storage.store import reading
from services.storage.store.reading import StoredClaim

BATCH = 500


class Subject(NamedTuple):
    """A thing that claims are about, in one scan."""

    id: bytes
    claims: tuple[StoredClaim, ...]


async def diff(view: Reader, workspace: UUID, before: UUID, after: UUID) -> AsyncIterator[Change]:
    """Yield changes: what is new or changed in ``after``, then what ``before`` had alone."""
    async for ids in _subjects(view, workspace, after):
        old = _grouped(await reading.claims_about(view, workspace, ids, before))
        new = _grouped(await reading.claims_about(view, workspace, ids, after))
        async for change in _compare(view, workspace, before, after, ids, old, new):
            yield change
    async for ids in _subjects(view, workspace, before):
        new = _grouped(await reading.claims_about(view, workspace, ids, after))
        missing = [identity for identity in ids if not _positive(new.get(identity, ()))]
        old = _grouped(await reading.claims_about(view, workspace, missing, before))
        async for change in _lost(view, workspace, before, after, missing, old):
            yield change


async def _subjects(view: Reader, workspace: UUID, scan: UUID) -> AsyncIterator[list[bytes]]:
    async for rows in view.stream(
        # By the scan first: the order would make the database read all scans of the workspace.
        "WITH told AS MATERIALIZED (SELECT about FROM claim WHERE workspace = :workspace AND scan = :scan"
        " AND kind <> :absence AND retracted_at IS NULL) SELECT DISTINCT about FROM told ORDER BY about",
        size=BATCH,
        workspace=workspace.bytes,
        scan=scan.bytes,
        absence=ABSENCE,
    ):
        yield [bytes(row[0]) for row in rows]


def _grouped(claims: Sequence[StoredClaim]) -> dict[bytes, tuple[StoredClaim, ...]]:
    ordered = sorted(claims, key=attrgetter("about"))
    return {about: tuple(group) for about, group in groupby(ordered, key=attrgetter("about"))}


def _positive(claims: Sequence[StoredClaim]) -> list[StoredClaim]:
    return [claim for claim in claims if claim.kind != ABSENCE]


def _by_saying(claims: Sequence[StoredClaim]) -> dict[tuple[str, str], list[StoredClaim]]:
    """Attributes by name and value, with all who say so."""
    said: dict[tuple[str, str], list[StoredClaim]] = {}
    for claim in claims:
        if claim.kind == ATTRIBUTE:
            said.setdefault((claim.name, claim.value), []).append(claim)
    return said


def _modules(claims: Sequence[StoredClaim]) -> tuple[str, ...]:
    return tuple(sorted({claim.module for claim in claims}))


async def _compare(
    view: Reader,
    workspace: UUID,
    before: UUID,
    after: UUID,
    ids: Sequence[bytes],
    old: dict[bytes, tuple[StoredClaim, ...]],
    new: dict[bytes, tuple[StoredClaim, ...]],
) -> AsyncIterator[Change]:
    fresh = [identity for identity in ids if not _positive(old.get(identity, ()))]
    for change in await _describe(view, workspace, "new", fresh, new):
        yield change
    added: list[tuple[StoredClaim, tuple[str, ...]]] = []
    vanished: list[list[StoredClaim]] = []
    for identity in ids:
        if _positive(old.get(identity, ())):
            was, is_now = _by_saying(old[identity]), _by_saying(new[identity])
            added += [(group[0], _modules(group)) for said, group in is_now.items() if said not in was]
            vanished += [group for said, group in was.items() if said not in is_now]
    for (claim, modules), spoken in zip(
        added, await reading.spoken(view, workspace, [claim for claim, _ in added]), strict=True
    ):
        yield _change("changed", spoken, f"now {claim.name} = {claim.value}", modules)
    asked = await reading.asked_by(view, workspace, before, [claim.item for group in vanished for claim in group])
    answered = await reading.answered(view, workspace, after, list(asked.values()))
    gone = [
        group
        for group in vanished
        if gone_or_unknown([asked[claim.item] for claim in group if claim.item in asked], answered) == "gone"
    ]
    for group, spoken in zip(gone, await reading.spoken(view, workspace, [group[0] for group in gone]), strict=True):
        yield _change("changed", spoken, f"no longer {group[0].name} = {group[0].value}", _modules(group))


async def _lost(
    view: Reader,
    workspace: UUID,
    before: UUID,
    after: UUID,
    ids: Sequence[bytes],
    old: dict[bytes, tuple[StoredClaim, ...]],
) -> AsyncIterator[Change]:
    items = [claim.item for identity in ids for claim in old.get(identity, ())]
    asked = await reading.asked_by(view, workspace, before, items)
    answered = await reading.answered(view, workspace, after, list(asked.values()))
    by_kind: dict[str, list[bytes]] = {"gone": [], "unknown": []}
    for identity in ids:
        responsible = [asked[claim.item] for claim in _positive(old.get(identity, ())) if claim.item in asked]
        by_kind[gone_or_unknown(responsible, answered)].append(identity)
    for kind, lost in by_kind.items():
        for change in await _describe(view, workspace, kind, lost, old):
            yield change


async def _describe(
    view: Reader, workspace: UUID, kind: str, ids: Sequence[bytes], claims: dict[bytes, tuple[StoredClaim, ...]]
) -> Iterator[Change]:
    first = [_positive(claims[identity])[0] for identity in ids if _positive(claims.get(identity, ()))]
    spoken = await reading.spoken(view, workspace, first)
    return iter(
        [
            _change(kind, claim, "", _modules(_positive(claims[row.about])))
            for row, claim in zip(first, spoken, strict=True)
        ]
    )


def _change(kind: str, claim: Claim, what: str, modules: tuple[str, ...]) -> Change:
    match claim:
        case Relation(type=name, source=source, target=target):
            layer, value = "relation", f"{source.value} → {target.value}"
        case Entity(type=name):
            layer, value = "entity", claim.value
        case _:
            layer, name, value = "entity", claim.about.type, claim.about.value
    return Change(
        kind=kind,  # type: ignore[arg-type]
        layer=layer,  # type: ignore[arg-type]
        type=name,
        value=value,
        what=what or (claim_line(claim) if isinstance(claim, Relation) and claim.qualifiers else ""),
        modules=modules,
    )
