"""Provider keys, sealed, and every change of settings: the newest of a service is what holds."""

from typing import Any

import msgspec
from msgspec import Struct

from services.kernel.sql import Merge, Reader, Tx


class Change(Struct, frozen=True):
    """How a service was set from a time on; ``values`` are those that are not defaults."""

    service: str
    version: int
    values: dict[str, Any]
    by: str
    reason: str
    at: int


class SealedKey(Struct, frozen=True):
    name: str
    sealed: str
    hint: str


async def read_keys(view: Reader) -> list[SealedKey]:
    return [SealedKey(*row) for row in await view.fetch("SELECT name, sealed, hint FROM provider_key ORDER BY name")]


async def write_key(tx: Tx, key: SealedKey, at: int) -> None:
    row = (key.name, key.sealed, key.hint, at)
    columns = ("name", "sealed", "hint", "at")
    merge: dict[str, Merge] = {"sealed": "replace", "hint": "replace", "at": "replace"}
    await tx.bulk_upsert("provider_key", columns, ("name",), [row], merge)


async def remove_key(tx: Tx, name: str) -> bool:
    """Forget a key; whether there was one."""
    return await tx.execute("DELETE FROM provider_key WHERE name = :name", name=name) > 0


async def read_settings(view: Reader) -> list[Change]:
    """How each service that was ever set is set now."""
    rows = await view.fetch(
        "SELECT service, version, content, changed_by, reason, at FROM settings_change AS change WHERE version ="
        " (SELECT MAX(version) FROM settings_change WHERE service = change.service) ORDER BY service"
    )
    return [_change(row) for row in rows]


async def read_changes(view: Reader, service: str, limit: int) -> list[Change]:
    """How a service was set, the newest first."""
    rows = await view.fetch(
        "SELECT service, version, content, changed_by, reason, at FROM settings_change WHERE service = :service"
        " ORDER BY version DESC LIMIT :limit",
        service=service,
        limit=limit,
    )
    return [_change(row) for row in rows]


async def write_change(tx: Tx, change: Change) -> None:
    await tx.execute(
        "INSERT INTO settings_change (service, version, content, changed_by, reason, at)"
        " VALUES (:service, :version, :content, :changed_by, :reason, :at)",
        service=change.service,
        version=change.version,
        content=msgspec.json.encode(change.values).decode(),
        changed_by=change.by,
        reason=change.reason,
        at=change.at,
    )


def _change(row: tuple[Any, ...]) -> Change:
    service, version, content, by, reason, at = row
    return Change(service, version, msgspec.json.decode(content), by, reason, at)
