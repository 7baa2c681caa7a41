"""Matches of rules that gather: by the first thing that has them, and by the groups that they belong to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from services.correlation.domain.judging import Hit, group_keys
from services.correlation.domain.rule import Rule
from services.kernel.sql import Reader, Tx

_HIT: Final = ("workspace", "scan", "rule", "first", "place", "member", "content")
_TALLY: Final = ("workspace", "scan", "rule", "member", "firsts")
#: Tables of what is kept of a rule in a scan.
OF_RULES: Final = ("hit", "tally")
#: Hits of one group that are read to judge it; what a group of more is about is told by these.
MOST: Final = 20_000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Hit).decode


async def replace_hits(
    tx: Tx, workspace: UUID, scan: UUID, rule: Rule, firsts: Sequence[bytes], hits: Mapping[bytes, Sequence[Hit]]
) -> set[str]:
    """Let first things have these hits and no others; return the groups that are others since."""
    values = {"workspace": workspace.bytes, "scan": scan.bytes, "rule": rule.id}
    rows = await tx.fetch_in(
        "SELECT DISTINCT first, member FROM hit"
        " WHERE workspace = :workspace AND scan = :scan AND rule = :rule AND first IN :keys",
        firsts,
        **values,
    )
    before = {(bytes(first), member) for first, member in rows}
    await tx.execute_in(
        "DELETE FROM hit WHERE workspace = :workspace AND scan = :scan AND rule = :rule AND first IN :keys",
        firsts,
        **values,
    )
    fresh = [
        (*values.values(), first, place, member, _encode(hit).decode())
        for first, members in hits.items()
        for place, hit in enumerate(members)
        for member in group_keys(rule, hit)
    ]
    await tx.bulk_upsert("hit", _HIT, _HIT[:6], fresh, {"content": "replace"})
    after = {(first, member) for first, members in hits.items() for hit in members for member in group_keys(rule, hit)}
    change: dict[str, int] = {}
    for _, member in after - before:
        change[member] = change.get(member, 0) + 1
    for _, member in before - after:
        change[member] = change.get(member, 0) - 1
    await tx.bulk_upsert(
        "tally",
        _TALLY,
        _TALLY[:4],
        [(*values.values(), member, by) for member, by in change.items() if by],
        {"firsts": "sum"},
    )
    return {member for _, member in before | after}


async def hits_of(view: Reader, workspace: UUID, scan: UUID, rule: str, member: str) -> list[Hit]:
    """The hits of one group, in the order in which they are judged."""
    rows = await view.fetch(
        "SELECT content FROM hit WHERE workspace = :workspace AND scan = :scan AND rule = :rule AND member = :member"
        " ORDER BY first, place LIMIT :limit",
        workspace=workspace.bytes,
        scan=scan.bytes,
        rule=rule,
        member=member,
        limit=MOST,
    )
    return [_decode(row[0]) for row in rows]


async def tally_of(view: Reader, workspace: UUID, scan: UUID, rule: str) -> dict[str, int]:
    """How many first things each group of a rule has."""
    rows = await view.fetch(
        "SELECT member, firsts FROM tally"
        " WHERE workspace = :workspace AND scan = :scan AND rule = :rule AND firsts > 0",
        workspace=workspace.bytes,
        scan=scan.bytes,
        rule=rule,
    )
    return dict(map(tuple, rows))


async def forget_rules(tx: Tx, workspace: UUID, scan: UUID, rules: Iterable[str]) -> None:
    """Forget all hits of some rules."""
    for table in OF_RULES:
        await tx.execute_in(
            f"DELETE FROM {table} WHERE workspace = :workspace AND scan = :scan AND rule IN :keys",  # noqa: S608 - from here
            sorted(rules),
            workspace=workspace.bytes,
            scan=scan.bytes,
        )
