"""The audit trail as a chain: what an entry is, what of it is hashed, and whether a row of entries is one chain.

Each workspace has a chain of its own, and the installation one (`EVERYWHERE`). The hash of an entry is the SHA-256 of
the hash before it (32 bytes, zeros before the first) and of the entry in its canonical form: the JSON array of its
fields in their order, ``hash`` left out, in UTF-8, without blanks, names of objects sorted and texts escaped as
RFC 8785 (JCS) has it. Whoever has the entries can make sure of it without asking anybody.
"""

import hashlib
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.resources import AuditEntry
from services.kernel.errors import Corrupt, Invalid

#: What comes before the first entry.
BEGINNING: Final = bytes(32)

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class Head(Struct, frozen=True):
    """The last entry of a chain as it was at a time: kept elsewhere, it proves later that nothing before it is gone."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def read(cls, text: str) -> "Head":
        """Read ``SEQUENCE:HASH``.

        Raises:
            Invalid: it is none.
        """
        number, _, digest = text.partition(":")
        if not (number.isascii() and number.isdecimal() and len(number) < 19 and len(digest) == 64):
            raise Invalid("a head is SEQUENCE:HASH, as `audit verify` says it")
        return cls(int(number), digest.lower())


def hash_of(previous: bytes, entry: AuditEntry) -> bytes:
    """The hash of an entry, whatever it says itself, after the one before it."""
    *said, _ = msgspec.structs.astuple(entry)
    return hashlib.sha256(previous + _encoder.encode(said)).digest()


def write_line(entry: AuditEntry) -> bytes:
    """An entry as a line of an export, without its end."""
    return _encoder.encode(entry)


class Chain:
    """Takes in the entries of a chain from the first one on, and says where it is broken.

    ``known``: a head that was kept elsewhere. ``workspace``: whose chain it is, that of the first entry where none is.
    """

    def __init__(self, known: Head | None = None, workspace: UUID | None = None) -> None:
        self.length = 0
        self._last = BEGINNING
        self._workspace = workspace
        self._known = known

    @property
    def head(self) -> Head:
        return Head(self.length, self._last.hex())

    def add(self, entry: AuditEntry) -> None:
        """Take in the next entry.

        Raises:
            Corrupt: it is not the next one, or not as it was written; it says which, and why.
        """
        number = self.length + 1
        if entry.workspace != (self._workspace or entry.workspace):
            raise Corrupt(f"entry {entry.sequence} is of another workspace")
        if entry.sequence > number:
            raise Corrupt(f"{_span(number, entry.sequence - 1)} missing before entry {entry.sequence}")
        if entry.sequence < number:
            raise Corrupt(f"entry {entry.sequence} comes again after entry {self.length}")
        made = hash_of(self._last, entry)
        if made.hex() != entry.hash:
            raise Corrupt(f"entry {number} ({entry.what}) is not as it was written: its hash would be {made.hex()}")
        if self._known is not None and number == self._known.sequence and entry.hash != self._known.hash:
            raise Corrupt(f"entry {number} is another than the head that was kept: the chain was written anew")
        self.length, self._last, self._workspace = number, made, entry.workspace

    def end(self) -> Head:
        """Say that these were all; return the last.

        Raises:
            Corrupt: the head that was kept is not among them.
        """
        if self._known is not None and self.length < self._known.sequence:
            raise Corrupt(f"{_span(self.length + 1, self._known.sequence)} gone since the head was kept")
        return self.head


def _span(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first}-{last} are"
