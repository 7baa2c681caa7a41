"""Manifests as documents of no workspace; settings and health in tables."""

from collections.abc import Sequence
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

COLLECTION: Final = "modules"
ANNOUNCED: Final = "announcements"
LAST: Final = "last"


class Known(Struct, frozen=True):
    """A manifest and whether the newest announcement still had it."""

    declared: DeclaredModule
    live: bool


class Setting(Struct, frozen=True):
    enabled: bool | None = None
    options: Options | None = None


async def hold_setting(tx: Tx, workspace: UUID, module: str) -> None:
    """Let nobody else change a setting until the transaction ends."""
    await tx.lock(f"setting {workspace.hex} {module}")


async def keep_announcement(
    tx: Tx, documents: Documents, digest: str, modules: Sequence[DeclaredModule], at: int
) -> None:
    """Make the modules of an announcement the live ones, unless one that was made later is kept already.

    What was known before stays known. Nobody else keeps one until the transaction ends.
    """
    await tx.lock("announcements")
    await documents.declare(ANNOUNCED, ())
    before = await documents.get(EVERYWHERE, ANNOUNCED, [LAST])
    if before and before[0].content.get("at", 0) > at:
        return
    live = {module.id for module in modules}
    gone = [
        Document(known.declared.id, _content(known.declared, live=False))
        for known in await read_modules(documents)
        if known.live and known.declared.id not in live
    ]
    present = [Document(module.id, _content(module, live=True)) for module in modules]
    await documents.replace(EVERYWHERE, COLLECTION, [*gone, *present])
    await documents.replace(EVERYWHERE, ANNOUNCED, [Document(LAST, {"digest": digest, "at": at})])


async def last_announced(documents: Documents) -> str:
    """The digest of the announcement that the live modules are from; empty where there was none."""
    await documents.declare(ANNOUNCED, ())
    found = await documents.get(EVERYWHERE, ANNOUNCED, [LAST])
    return str(found[0].content["digest"]) if found else ""


async def read_modules(documents: Documents) -> list[Known]:
    await documents.declare(COLLECTION, ())
    return [
        msgspec.convert(document.content, Known)
        async for documents_read in documents.find(EVERYWHERE, COLLECTION)
        for document in documents_read
    ]


def _content(declared: DeclaredModule, *, live: bool) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(Known(declared, live))
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
