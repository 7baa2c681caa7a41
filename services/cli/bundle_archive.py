"""Reads the archive of a bundle, which comes from anybody: a zip, as strictly as bundles are written.

A zip can hold the same byte twice, bytes that belong to nothing, names that lead elsewhere, and a member that unpacks
to more than any disk. None of that is in a bundle: every byte of it belongs to one member or says where that is, and a
byte that is another than was written is found, wherever it lies. Nothing is ever unpacked to a file.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Final

from msgspec import Struct

from services.contracts.bundles import BODIES, KEYS, MANIFEST, ORDER, SIGNATURE
from services.kernel.errors import Corrupt

#: Bytes of an archive, of a member when it is unpacked, and members, that a bundle may have.
LARGEST, LARGEST_MEMBER, MEMBERS = 2_100_000_000, 600_000_000, 200_000
PIECE: Final = 262_144
#: Bytes of a line.
LONGEST_LINE: Final = 16_000_000

_BODY: Final = re.compile(re.escape(BODIES) + r"[0-9a-f]{64}")
_NAMES: Final = frozenset({*ORDER, MANIFEST, SIGNATURE, KEYS})
_END: Final = struct.Struct("<4s4H2LH")
_ENTRY: Final = struct.Struct("<4s4B4H3L5H2L")
_HEAD: Final = struct.Struct("<4s2B4H3L2H")
#: 1980-01-01, as zip writes it: bundles have no times but the report's.
_TIME, _DATE = 0, (1 << 5) | 1
_DEFLATED: Final = 8
_VERSION, _SYSTEM = 20, 3
_MODE: Final = 0o600 << 16


class Packed(Struct, frozen=True):
    """A member: where its bytes lie, how many these are, and how many when they are unpacked."""

    name: str
    start: int
    packed: int
    size: int
    crc: int


class BrokenMember(Exception):
    """A member cannot be unpacked to what was put in."""


class BundleArchive:
    """The members of a bundle by their names, in their order.

    Raises:
        Corrupt: it is no zip as bundles are.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.members: dict[str, Packed] = {}
        length = file.seek(0, os.SEEK_END)
        if length > LARGEST:
            raise Corrupt("this is larger than a bundle may be")
        self._read_directory(length)

    def _read_directory(self, length: int) -> None:
        if length < _END.size:
            raise Corrupt("this is no bundle")
        mark, disk, first, here, count, size, start, remark = _END.unpack(self._bytes(length - _END.size, _END.size))
        if mark != b"PK\x05\x06":
            raise Corrupt("this is no bundle, or its end is missing")
        if (disk, first, remark) != (0, 0, 0) or here != count or start + size + _END.size != length or count > MEMBERS:
            raise Corrupt("the directory of the archive is not as it was written")
        at, place = start, 0
        for _ in range(count):
            at, place = self._read_entry(at, length, place)
        if at != start + size or place != start:
            raise Corrupt("there are bytes in the archive that belong to nothing")

    def _read_entry(self, at: int, length: int, place: int) -> tuple[int, int]:
        """Read an entry of the directory, whose member has to begin at ``place``; return where both end."""
        if at + _ENTRY.size > length:
            raise Corrupt("the directory of the archive is cut off")
        mark, *fields = _ENTRY.unpack(self._bytes(at, _ENTRY.size))
        crc, packed, size, named = fields[8:12]
        name = self._bytes(at + _ENTRY.size, min(named, 100)).decode("ascii", "replace")
        told = [_VERSION, _SYSTEM, _VERSION, 0, 0, _DEFLATED, _TIME, _DATE, crc, packed, size, named, 0, 0, 0, 0]
        if mark != b"PK\x01\x02" or fields != [*told, _MODE, place] or size > LARGEST_MEMBER:
            raise Corrupt("an entry of the directory of the archive is not as it was written")
        if name in self.members or not (name in _NAMES or _BODY.fullmatch(name)):
            raise Corrupt(f"{name!a} is no member of a bundle, or there twice")
        head = (b"PK\x03\x04", _VERSION, 0, 0, _DEFLATED, _TIME, _DATE, crc, packed, size, named, 0)
        if self._bytes(place, _HEAD.size + named) != _HEAD.pack(*head) + name.encode():
            raise Corrupt(f"what the archive says of {name} is not as it was written")
        begin = place + _HEAD.size + named
        self.members[name] = Packed(name, begin, packed, size, crc)
        return at + _ENTRY.size + named, begin + packed

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member, piece by piece, never more of it than it was said to be.

        Raises:
            BrokenMember: it is not what was put in.
        """
        member = self.members[name]
        crc, done = 0, 0
        for piece in self._inflated(member):
            crc, done = zlib.crc32(piece, crc), done + len(piece)
            if done > member.size:
                break
            yield piece
        if (done, crc) != (member.size, member.crc):
            raise BrokenMember

    def _inflated(self, member: Packed) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-15)
        place, end, waiting = member.start, member.start + member.packed, b""
        while not inflate.eof:
            if not waiting:
                waiting = self._bytes(place, min(PIECE, end - place))
                place += len(waiting)
            came = len(waiting)
            try:
                piece = inflate.decompress(waiting, PIECE)
            except zlib.error as error:
                raise BrokenMember from error
            waiting = inflate.unconsumed_tail
            if not piece and not came:
                raise BrokenMember
            yield piece
        if place != end or waiting or inflate.unused_data:
            raise BrokenMember

    def read(self, name: str, most: int) -> bytes:
        """A whole member of at most so many bytes.

        Raises:
            BrokenMember: it is larger, or not what was put in.
        """
        if self.members[name].size > most:
            raise BrokenMember
        return b"".join(self.pieces(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, without their ends, as far as it can be read."""
        rest = b""
        try:
            for piece in self.pieces(name):
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                if len(rest) > LONGEST_LINE:
                    return
        except BrokenMember:
            return
        if rest:
            yield rest

    def _bytes(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        return self._file.read(count)
