"""Traits of the entities of a scan, and what is proposed of two of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.contracts.resources.identity import HypothesisEvidence
from services.correlation.domain.identity.hypotheses import Hypothesis, Pair, hypothesis_id
from services.correlation.domain.identity.traits import Subject, Trait
from services.kernel.sql import Reader, Tx

TABLES: Final = ("identity_source", "identity_trait", "identity_block", "identity_subject", "identity_hypothesis")
_SOURCE: Final = ("workspace", "scan", "statement", "entity", "block", "weight")
_TRAIT: Final = ("workspace", "scan", "entity", "block", "weight", "kind", "value", "statements")
_BLOCK: Final = ("workspace", "scan", "block", "type", "holders")
_SUBJECT: Final = ("workspace", "scan", "entity", "type", "value")
_HYPOTHESIS: Final = (
    *("workspace", "scan", "one", "other", "id", "type", "one_value", "other_value", "score", "evidence"),
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[HypothesisEvidence, ...]).decode


class Source(NamedTuple):
    """That a statement gives an entity a trait, by the digest of that."""

    statement: bytes
    entity: bytes
    block: bytes
    weight: int


class Place(NamedTuple):
    """The scan in which things are compared."""

    workspace: UUID
    scan: UUID

    @property
    def values(self) -> dict[str, bytes]:
        return {"workspace": self.workspace.bytes, "scan": self.scan.bytes}


async def sources_of(view: Reader, place: Place, statements: Collection[bytes]) -> set[Source]:
    """What statements gave so far."""
    rows = await view.fetch_in(
        "SELECT statement, entity, block, weight FROM identity_source"
        " WHERE workspace = :workspace AND scan = :scan AND statement IN :keys",
        list(statements),
        **place.values,
    )
    return {Source(*row) for row in rows}


async def change_traits(tx: Tx, place: Place, old: Collection[Source], new: Mapping[Source, Trait]) -> None:
    """Have statements give what they give now: ``old`` is all that they gave before."""
    key = (place.workspace.bytes, place.scan.bytes)
    gone, come = set(old) - new.keys(), new.keys() - set(old)
    emptied = {source.statement for source in gone}
    if emptied:
        await tx.execute_in(
            "DELETE FROM identity_source WHERE workspace = :workspace AND scan = :scan AND statement IN :keys",
            list(emptied),
            **place.values,
        )
    written = [source for source in new if source in come or source.statement in emptied]
    subjects = {new[source].subject for source in come}
    changes: dict[tuple[bytes, bytes, int], tuple[str, str, int]] = {}
    for source in gone:
        what = (source.entity, source.block, source.weight)
        changes[what] = ("", "", changes.get(what, ("", "", 0))[2] - 1)
    for source in come:
        what, trait = (source.entity, source.block, source.weight), new[source]
        changes[what] = (trait.kind, trait.value, changes.get(what, ("", "", 0))[2] + 1)
    await tx.bulk_upsert("identity_subject", _SUBJECT, _SUBJECT[:3], [(*key, *each) for each in subjects], {})
    await tx.bulk_upsert("identity_source", _SOURCE, _SOURCE[:5], [(*key, *each) for each in written], {})
    rows = [(*key, *what, *change) for what, change in changes.items() if change[2]]
    await tx.bulk_upsert("identity_trait", _TRAIT, _TRAIT[:5], rows, {"statements": "sum"})
    if gone:
        await _drop_unsaid(tx, place, gone)


async def _drop_unsaid(tx: Tx, place: Place, gone: Collection[Source]) -> None:
    """Drop the traits that no statement gives any more, and the entities that have none left."""
    await tx.execute_in(
        "DELETE FROM identity_trait WHERE workspace = :workspace AND scan = :scan AND statements <= 0"
        " AND entity IN :keys",
        list({source.entity for source in gone}),
        **place.values,
    )
    await tx.execute_in(
        "DELETE FROM identity_subject WHERE workspace = :workspace AND scan = :scan AND entity IN :keys"
        " AND NOT EXISTS (SELECT 1 FROM identity_trait WHERE identity_trait.workspace = identity_subject.workspace"
        " AND identity_trait.scan = identity_subject.scan AND identity_trait.entity = identity_subject.entity)",
        list({source.entity for source in gone}),
        **place.values,
    )


async def traits_of(
    view: Reader, place: Place, entities: Collection[bytes]
) -> tuple[dict[bytes, Subject], dict[bytes, dict[tuple[str, str], int]]]:
    """Entities that have traits, and these, each as sure as its surest statement."""
    rows = await view.fetch_in(
        "SELECT entity, type, value FROM identity_subject"
        " WHERE workspace = :workspace AND scan = :scan AND entity IN :keys",
        list(entities),
        **place.values,
    )
    subjects = {row[0]: Subject(*row) for row in rows}
    own: dict[bytes, dict[tuple[str, str], int]] = {}
    for entity, kind, value, weight in await view.fetch_in(
        "SELECT entity, kind, value, weight FROM identity_trait"
        " WHERE workspace = :workspace AND scan = :scan AND entity IN :keys",
        list(subjects),
        **place.values,
    ):
        named = own.setdefault(entity, {})
        named[kind, value] = max(named.get((kind, value), 0), weight)
    return subjects, own


async def registered_as(view: Reader, place: Place, registrations: Collection[bytes]) -> set[bytes]:
    """The domains that are linked to registrations."""
    rows = await view.fetch_in(
        "SELECT entity FROM identity_trait WHERE workspace = :workspace AND scan = :scan AND kind = 'registration'"
        " AND block IN :keys",
        [each[:12] for each in registrations],
        **place.values,
    )
    return {row[0] for row in rows}


#: Who has a trait, himself or by his registration: its link has the beginning of the registration's id as its block.
_HOLDERS: Final = (
    "WITH named AS (SELECT block, kind, entity FROM identity_trait"
    " WHERE workspace = :workspace AND scan = :scan AND block IN :keys),"
    " holder AS (SELECT block, entity FROM named UNION SELECT named.block, identity_trait.entity FROM named"
    " JOIN identity_trait ON identity_trait.workspace = :workspace AND identity_trait.scan = :scan"
    " AND identity_trait.block = SUBSTR(named.entity, 1, 12) WHERE named.kind = 'registrant')"
)


async def holders_of(view: Reader, place: Place, blocks: Collection[bytes]) -> dict[bytes, set[tuple[str, bytes]]]:
    """Who has a trait, by type and id; for traits that few have."""
    found: dict[bytes, set[tuple[str, bytes]]] = {}
    for block, kind, entity in await view.fetch_in(
        f"{_HOLDERS} SELECT holder.block, identity_subject.type, holder.entity FROM holder JOIN identity_subject"  # noqa: S608
        " ON identity_subject.workspace = :workspace AND identity_subject.scan = :scan"
        " AND identity_subject.entity = holder.entity",
        list(blocks),
        **place.values,
    ):
        found.setdefault(block, set()).add((kind, entity))
    return found


async def count_holders(view: Reader, place: Place, blocks: Collection[bytes]) -> dict[bytes, dict[str, int]]:
    """How many of each type have a trait."""
    found: dict[bytes, dict[str, int]] = {}
    for block, kind, holders in await view.fetch_in(
        "SELECT block, type, holders FROM identity_block"
        " WHERE workspace = :workspace AND scan = :scan AND block IN :keys",
        list(blocks),
        **place.values,
    ):
        found.setdefault(block, {})[kind] = holders
    return found


async def change_holders(tx: Tx, place: Place, moves: Mapping[tuple[bytes, str], int]) -> None:
    """Note how many more, or fewer, of a type have a trait."""
    key = (place.workspace.bytes, place.scan.bytes)
    rows = [(*key, *block, more) for block, more in moves.items() if more]
    await tx.bulk_upsert("identity_block", _BLOCK, _BLOCK[:4], rows, {"holders": "sum"})
    left = {block for (block, _), more in moves.items() if more < 0}
    if left:
        await tx.execute_in(
            "DELETE FROM identity_block WHERE workspace = :workspace AND scan = :scan AND holders <= 0"
            " AND block IN :keys",
            list(left),
            **place.values,
        )


async def write_hypotheses(tx: Tx, place: Place, found: Iterable[Hypothesis], refuted: Sequence[Pair]) -> None:
    """Keep what is proposed of pairs, and forget pairs of which nothing is any more."""
    key = (place.workspace.bytes, place.scan.bytes)
    rows = [
        (
            *key,
            *each.pair,
            hypothesis_id(*each.pair).bytes,
            each.one.type,
            each.one.value,
            each.other.value,
            each.score,
            _encode(each.evidence).decode(),
        )
        for each in found
    ]
    await tx.bulk_upsert(
        "identity_hypothesis", _HYPOTHESIS, _HYPOTHESIS[:4], rows, {"score": "replace", "evidence": "replace"}
    )
    if refuted:
        await tx.execute_many(
            "DELETE FROM identity_hypothesis WHERE workspace = :workspace AND scan = :scan"
            " AND one = :one AND other = :other",
            [{**place.values, "one": one, "other": other} for one, other in refuted],
        )


async def read_hypotheses(view: Reader, place: Place) -> Mapping[Pair, tuple[float, tuple[HypothesisEvidence, ...]]]:
    """All that is proposed in a scan, by pair."""
    rows = await view.fetch(
        "SELECT one, other, score, evidence FROM identity_hypothesis WHERE workspace = :workspace AND scan = :scan",
        **place.values,
    )
    return {(one, other): (score, _decode(evidence)) for one, other, score, evidence in rows}


async def forget_scan(tx: Tx, place: Place) -> None:
    """Drop all of a scan but what people have decided."""
    for table in TABLES:
        await tx.execute(
            f"DELETE FROM {table} WHERE workspace = :workspace AND scan = :scan",  # noqa: S608  names of tables
            **place.values,
        )
