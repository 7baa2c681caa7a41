"""What one service tells another to do."""

from uuid import UUID

from msgspec import Struct

from services.contracts.scope import Role
from services.contracts.subjects import CarriedSubject
from services.kernel.calls import Entry
from services.kernel.messages import message_id, message_type


class WorkItem(Struct, frozen=True, omit_defaults=True):
    """One subject for one module; ``id`` is uuid5 of scan, module@version, subject and configuration.

    ``role`` and ``distance`` are the subject's place in the scan when the item was handed out. ``turn`` counts how
    often scans decided to ask anew after a failure (a rate that ran out, a retry by a person): within one turn every
    request is made once, whatever dies; in the next one recorded answers still count, recorded failures do not.
    """

    id: UUID
    subject: CarriedSubject
    role: Role
    distance: int = 0
    turn: int = 0


class Collect(Struct, frozen=True, kw_only=True, tag="mirage.cmd.collector.collect.v1"):
    """Run one module on a batch of items.

    ``batch`` is uuid5 of the run, its number in the scan and the sorted items with their turns. ``attempt`` counts the
    collectors that take it, this one included. A collector drops the command when scans no longer leases ``batch`` to
    anybody: the run is over, or the lease ran out and the items are in another batch.
    """

    scan: UUID
    run: int
    batch: UUID
    attempt: int
    module: str
    version: int
    items: tuple[WorkItem, ...]


class Record(Entry, frozen=True, kw_only=True, tag="mirage.cmd.users.record.v1"):
    """Put an entry into the audit trail of the envelope's workspace, which is of the installation where there is none.

    Its filter is the service that says so: each speaks of its own questions alone, and the gateway of what it refused.
    """


def command_id(workspace: UUID, batch: UUID) -> UUID:
    """The id of the message that a batch travels as: its sender calls it by the batch."""
    return message_id(message_type(Collect), workspace, batch.hex)
