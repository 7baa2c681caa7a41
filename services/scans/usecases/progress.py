"""Progress: said on the bus whenever a scan has changed, and followed from there by whoever watches (D22)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from uuid import UUID

import structlog

from services.contracts.progress import Progressed
from services.contracts.resources import Watch, Watched
from services.contracts.states import ENDED
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, MirageError, NotFound
from services.kernel.messages import NAMESPACE, derive, envelop, message_type, now, open_envelope
from services.kernel.service import Ports
from services.scans.settings import PROGRESS_EVERY
from services.scans.store import scans as scan_store
from services.scans.usecases.look import progress_of
from services.scans.usecases.watch import changes_of, wait

_LARGEST: Final = 2**63 - 1

_log = structlog.get_logger(__name__)


async def report_progress(ports: Ports) -> None:
    """Say where changed scans stand, each at most every `PROGRESS_EVERY` seconds, and an end at once."""
    changes = changes_of(ports)
    while True:
        await changes.stirred.wait()
        changes.stirred.clear()
        changes.ended.clear()
        unsaid, changes.unsaid = changes.unsaid, {}
        try:
            for scan, workspace in unsaid.items():
                await _say(ports, workspace, scan)
        except MirageError as error:
            _log.warning("progress is not said", reason=str(error))
        await wait(changes.ended, PROGRESS_EVERY)


async def follow(ports: Ports, caller: Caller, watch: Watch) -> AsyncGenerator[Watched, None]:
    """Where a scan stands now, then after changes, several of which may come as one; the last one has ended.

    Who has seen some of it gets what came ``after``, as far as the bus still has it, before where the scan stands now.
    All comes from the bus, also the latter: it is said again for each who comes, and skipped where it says nothing new.
    """
    after = watch.after
    if after is not None and not 0 <= after <= _LARGEST:
        raise Invalid("a scan is watched from a sequence on that was seen before")
    subject = f"{message_type(Progressed)}.{watch.scan.hex}.{caller.workspace.hex}"
    async with aclosing(ports.bus.replay([subject], None if after is None else after - 1)) as said:
        current = await _say(ports, caller.workspace, watch.scan, known=True)
        last: Progressed | None = None
        caught_up = False
        async for sequence, envelope in said:
            message = open_envelope(envelope, Progressed)
            caught_up = caught_up or envelope.id == current
            if message.progress is None:
                raise NotFound(f"the scan {watch.scan} was deleted")
            news = last is None or (message.at >= last.at and message.progress != last.progress)
            if news:
                last = message
                if sequence != after:
                    yield Watched(sequence, message.progress)
            if caught_up and last is not None and last.progress is not None and last.progress.state in ENDED:
                return


async def _say(ports: Ports, workspace: UUID, scan: UUID, *, known: bool = False) -> UUID:
    """Say where a scan stands, or that it was deleted; return the id of the message.

    Raises:
        NotFound: there is no such scan, and it is ``known`` that nobody waits to hear so.
    """
    # One after the other, so that what was read later is said later.
    async with changes_of(ports).saying:
        async with ports.sql.read() as view:
            row = await scan_store.load(view, workspace.bytes, scan.bytes)
            progress = None if row is None else await progress_of(ports, view, row)
        if row is None and known:
            raise NotFound(f"there is no scan {scan}")
        at = now()
        progressed = Progressed(scan=scan, at=at if row is None else row.changed, progress=progress)
        identity = derive(NAMESPACE, f"progress|{scan.hex}|{at}")
        said = envelop(progressed, source=ports.service, workspace=workspace, id=identity, filter=scan.hex)
        await ports.bus.publish([said])
    return identity
