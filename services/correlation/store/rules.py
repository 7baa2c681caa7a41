"""The rules that a workspace has written, and which of those that come with Mirage it does without; suppressions."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from services.contracts.resources.correlation import Suppression
from services.kernel.sql import Reader, Tx

_COLUMNS: Final = ("workspace", "id", "text", "enabled", "who", "at")
_SUPPRESSION: Final = ("workspace", "id", "rule", "entity", "value", "reason", "who", "at", "ends")


class Kept(Struct, frozen=True):
    """A row of the table `rule`; without ``text`` it is about one that comes with Mirage."""

    text: str | None
    enabled: bool
    who: str
    at: int


async def read_rules(view: Reader, workspace: UUID) -> dict[str, Kept]:
    """What is kept of rules, by their ids."""
    rows = await view.fetch(
        "SELECT id, text, enabled, who, at FROM rule WHERE workspace = :workspace ORDER BY id",
        workspace=workspace.bytes,
    )
    return {identity: Kept(text, bool(enabled), who, at) for identity, text, enabled, who, at in rows}


async def write_rule(tx: Tx, workspace: UUID, identity: str, kept: Kept) -> None:
    row = (workspace.bytes, identity, kept.text, int(kept.enabled), kept.who, kept.at)
    merged = dict.fromkeys(_COLUMNS[2:], "replace")
    if kept.text is None:
        merged = {"enabled": "replace", "who": "replace", "at": "replace"}
    await tx.bulk_upsert("rule", _COLUMNS, _COLUMNS[:2], [row], merged)  # type: ignore[arg-type]


async def drop_rule(tx: Tx, workspace: UUID, identity: str) -> int:
    return await tx.execute(
        "DELETE FROM rule WHERE workspace = :workspace AND id = :id", workspace=workspace.bytes, id=identity
    )


async def write_suppression(tx: Tx, workspace: UUID, said: Suppression, entity: bytes | None) -> None:
    row = (
        workspace.bytes,
        said.id.bytes,
        said.rule,
        entity,
        said.entity,
        said.reason,
        said.who,
        said.at,
        said.ends,
    )
    await tx.bulk_upsert(
        "suppression", _SUPPRESSION, _SUPPRESSION[:2], [row], {"reason": "replace", "who": "replace", "ends": "replace"}
    )


async def drop_suppression(tx: Tx, workspace: UUID, identity: UUID) -> int:
    return await tx.execute(
        "DELETE FROM suppression WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=identity.bytes,
    )


async def read_suppressions(view: Reader, workspace: UUID, limit: int) -> Sequence[Suppression]:
    """What is put aside, newest first."""
    rows = await view.fetch(
        "SELECT id, rule, value, reason, who, at, ends FROM suppression WHERE workspace = :workspace"
        " ORDER BY at DESC, id LIMIT :limit",
        workspace=workspace.bytes,
        limit=limit,
    )
    return [
        Suppression(id=UUID(bytes=bytes(identity)), rule=rule, entity=value, reason=reason, who=who, at=at, ends=ends)
        for identity, rule, value, reason, who, at, ends in rows
    ]
