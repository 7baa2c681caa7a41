"""What a workspace may use and uses: three services know a part of it each."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from services.cli.hull import Hull
from services.cli.options import Session
from services.cli.text import write_json, write_table
from services.contracts.endpoints import GET_EVIDENCE_USED, GET_QUOTAS, GET_WORK_USED, SET_QUOTAS, SHOW_QUOTAS
from services.contracts.resources import Quotas, SetQuotas, WorkspaceRef
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid
from services.kernel.messages import workspace_id

USUAL: Final = "usual"
_WHAT: Final = {"scans": "scans at once", "items": "work items a day", "storage": "evidence"}
_SIZES: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


async def show_quotas(session: Session, name: str, said: Mapping[str, str | None], form: str) -> int:
    """Set what was said of a workspace's quotas, and print what it may use and uses.

    At a server, operators see and set those of every workspace, and what is used where they belong to it.
    """
    wanted = {what: read_amount(text) for what, text in said.items() if text is not None}
    remote = bool(session.settings.server)
    named = name or session.named or ("" if remote else session.workspace)
    if wanted and not named:
        raise Invalid("say of which workspace the quotas are to be set: mirage workspaces quotas NAME")
    elsewhere = remote and named not in {"", session.named}
    caller = replace(session.caller, workspace=workspace_id(named)) if named else session.caller
    async with session.open(makes=bool(wanted)) as hull:
        if wanted or elsewhere:
            allowed = await _set(hull, caller, wanted)
        else:
            allowed = await hull.calls.ask(GET_QUOTAS, Nothing(), caller)
        used = dict.fromkeys(_WHAT) if elsewhere else await _used(hull, caller)
    if form == "json":
        write_json({"workspace": named or None, "allowed": allowed, "used": used})
        return 0
    write_table(
        ("quota", "used", "allowed"),
        ((label, _shown(what, used[what]), _shown(what, getattr(allowed, what))) for what, label in _WHAT.items()),
    )
    return 0


def read_amount(text: str) -> int | None:
    """A number, or one of bytes with a unit (powers of ten); None for what is usual.

    Raises:
        Invalid: it is none.
    """
    plain = text.strip().replace(",", "").replace("_", "").upper()
    if plain == USUAL.upper():
        return None
    number = plain.rstrip("BKMGT")
    unit = _SIZES.get(plain[len(number) :].strip())
    if unit is None or not number.strip().isdecimal() or len(number) > len(str(2**53)):
        raise Invalid(f"{text[:64]!a} is no amount: say a number, for storage 500MB or 10GB, or `{USUAL}`")
    return int(number) * unit


async def _set(hull: Hull, caller: Caller, wanted: Mapping[str, int | None]) -> Quotas:
    """Set what is wanted, if anything, and leave the rest as it was."""
    found = await hull.calls.ask(SHOW_QUOTAS, WorkspaceRef(caller.workspace), caller)
    if wanted:
        said = {what: wanted.get(what, getattr(found.exceptions, what)) for what in _WHAT}
        found = await hull.calls.ask(SET_QUOTAS, SetQuotas(workspace=caller.workspace, **said), caller)
    return found.allowed


async def _used(hull: Hull, caller: Caller) -> dict[str, int | None]:
    work = await hull.calls.ask(GET_WORK_USED, Nothing(), caller)
    kept = await hull.calls.ask(GET_EVIDENCE_USED, Nothing(), caller)
    return {"scans": work.scans, "items": work.items, "storage": kept.storage}


def _shown(what: str, amount: int | None) -> str:
    if amount is None:
        return "-"
    if what == "storage":
        unit = next((unit for unit in ("TB", "GB", "MB", "KB") if amount >= _SIZES[unit]), "")
        return f"{amount / _SIZES[unit]:.3g} {unit.replace('K', 'k')}" if unit else f"{amount} bytes"
    return f"{amount:,}"
