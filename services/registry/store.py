"""Manifests as documents of no workspace; settings and health in tables."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.facts import DeclaredModule
from services.contracts.resources import Health
from services.kernel.documents import Document, Documents
from services.kernel.messages import EVERYWHERE
from services.kernel.sql import Reader, Tx
from services.registry.domain import Options, judge

MODULES: Final = "modules"
ANNOUNCEMENTS: Final = "announcements"
#: The key of the document that says which announcement was made last; no digest is like it.
LAST: Final = "the last"
#: Microseconds for which an announcement is kept at least that is not made again.
KEPT: Final = 30 * 86_400 * 1_000_000


class Manifest(Struct, frozen=True):
    declared: DeclaredModule


class Announcement(Struct, frozen=True):
    """What a collector said at an instant."""

    at: int
    modules: tuple[DeclaredModule, ...]


class Last(Struct, frozen=True):
    digest: str
    at: int


class Setting(Struct, frozen=True):
    enabled: bool | None = None
    options: Options | None = None


async def hold_setting(tx: Tx, workspace: UUID, module: str) -> None:
    """Let nobody else change a setting until the transaction ends."""
    await tx.lock(f"setting {workspace.hex} {module}")


async def keep_announcement(
    tx: Tx, documents: Documents, digest: str, modules: Sequence[DeclaredModule], at: int
) -> None:
    """Keep what a collector announced; of each module, what is known is what was announced last.

    Nobody else keeps one until the transaction ends.
    """
    await tx.lock("announcements")
    await _declare(documents)
    last = await _read_last(documents)
    manifests = [Document(module.id, _content(Manifest(module))) for module in modules]
    await documents.replace(EVERYWHERE, ANNOUNCEMENTS, [Document(digest, _content(Announcement(at, tuple(modules))))])
    if last is not None and last.at > at:
        await documents.insert(EVERYWHERE, MODULES, manifests)
        return
    await documents.replace(EVERYWHERE, MODULES, manifests)
    await documents.replace(EVERYWHERE, ANNOUNCEMENTS, [Document(LAST, _content(Last(digest, at)))])


async def read_announcements(documents: Documents, digests: Iterable[str]) -> dict[str, tuple[DeclaredModule, ...]]:
    """The modules of those announcements that were kept, by their digests."""
    await _declare(documents)
    found = await documents.get(EVERYWHERE, ANNOUNCEMENTS, sorted(filter(None, digests)))
    return {each.key: msgspec.convert(each.content, Announcement).modules for each in found}


async def old_announcements(documents: Documents, *, before: int) -> list[str]:
    """The digests of what was announced before an instant, and not again since."""
    return [
        document.key
        async for documents_read in documents.find(EVERYWHERE, ANNOUNCEMENTS)
        for document in documents_read
        if document.content["at"] < before
    ]


async def forget_announcements(documents: Documents, digests: Sequence[str]) -> None:
    await documents.delete(EVERYWHERE, ANNOUNCEMENTS, digests)


async def last_announced(documents: Documents) -> str:
    """The digest of the announcement that was made last; empty where there was none."""
    await _declare(documents)
    last = await _read_last(documents)
    return last.digest if last is not None else ""


async def read_modules(documents: Documents) -> dict[str, DeclaredModule]:
    """Every module that a collector ever announced, by id."""
    await _declare(documents)
    return {
        document.key: msgspec.convert(document.content, Manifest).declared
        async for documents_read in documents.find(EVERYWHERE, MODULES)
        for document in documents_read
    }


async def _read_last(documents: Documents) -> Last | None:
    found = await documents.get(EVERYWHERE, ANNOUNCEMENTS, [LAST])
    return msgspec.convert(found[0].content, Last) if found else None


async def _declare(documents: Documents) -> None:
    for collection in (MODULES, ANNOUNCEMENTS):
        await documents.declare(collection, ())


def _content(said: Struct) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(said)
    return content


async def read_settings(view: Reader, workspace: UUID) -> dict[str, Setting]:
    rows = await view.fetch(
        "SELECT module, enabled, options FROM setting WHERE workspace = :workspace", workspace=workspace.bytes
    )
    return {
        module: Setting(
            enabled=None if enabled is None else bool(enabled),
            options=None if options is None else msgspec.json.decode(options, type=Options),
        )
        for module, enabled, options in rows
    }


async def write_setting(tx: Tx, workspace: UUID, module: str, setting: Setting) -> None:
    """Set what ``setting`` says; None leaves as it was."""
    options = None if setting.options is None else msgspec.json.encode(setting.options).decode()
    enabled = None if setting.enabled is None else int(setting.enabled)
    await tx.execute(
        "INSERT INTO setting (workspace, module, enabled, options) VALUES (:workspace, :module, :enabled, :options)"
        " ON CONFLICT (workspace, module) DO UPDATE SET"
        " enabled = coalesce(excluded.enabled, setting.enabled),"
        " options = coalesce(excluded.options, setting.options)",
        workspace=workspace.bytes,
        module=module,
        enabled=enabled,
        options=options,
    )


async def add_outcomes(tx: Tx, module: str, *, answered: int, failed: int, at: int, reason: str) -> None:
    """Add what one run says of a source."""
    await tx.execute(
        "INSERT INTO health (module, answered, failed, failing, last_answer, last_failure, reason)"
        " VALUES (:module, :answered, :failed, :failing, :last_answer, :last_failure, :reason)"
        " ON CONFLICT (module) DO UPDATE SET"
        " answered = health.answered + excluded.answered,"
        " failed = health.failed + excluded.failed,"
        " failing = CASE WHEN excluded.answered > 0 THEN 0 ELSE health.failing + excluded.failing END,"
        " last_answer = coalesce(excluded.last_answer, health.last_answer),"
        " last_failure = coalesce(excluded.last_failure, health.last_failure),"
        " reason = CASE WHEN excluded.reason <> '' THEN excluded.reason ELSE health.reason END",
        module=module,
        answered=answered,
        failed=failed,
        failing=int(failed > 0 and not answered),
        last_answer=at if answered else None,
        last_failure=at if failed else None,
        reason=reason,
    )


async def read_health(view: Reader) -> dict[str, Health]:
    rows = await view.fetch("SELECT module, answered, failed, failing, last_answer, last_failure, reason FROM health")
    return {
        module: judge(
            answered=answered,
            failed=failed,
            failing=failing,
            last_answer=last_answer,
            last_failure=last_failure,
            reason=reason,
        )
        for module, answered, failed, failing, last_answer, last_failure, reason in rows
    }
