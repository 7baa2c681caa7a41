from msgspec import Struct

from services.collector.resolve.answer import Record, Status


class Part(Struct, frozen=True):
    """One message of a zone transfer: its records, and the message as it came."""

    records: tuple[Record, ...]
    wire: bytes


class TransferFailed(Exception):
    """The server would not, or could not, give the zone; ``status`` is how it said so."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
