"""The port `values`: small values by key that all processes see, and are told of when they change.

For settings that are watched live. They are a projection: whoever owns the truth writes them, and again when they are
lost.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Final

from msgspec import Struct

from services.kernel.errors import Invalid

#: Bytes of one value at most.
LONGEST: Final = 512 * 1024
#: How many values are written at once at most, and the bytes of all of them.
TOGETHER: Final = 64
LONGEST_TOGETHER: Final = 256 * 1024

_SEGMENT: Final = r"(?!\.\.?(?:/|$))[A-Za-z0-9_.-]+"
_KEY: Final = re.compile(rf"(?=.{{1,256}}$){_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX: Final = re.compile(rf"(?=.{{1,256}}$)(?:{_SEGMENT}/)+")


class Value(Struct, frozen=True):
    """``version`` grows whenever the value becomes another, and is never 0."""

    value: bytes
    version: int


class Values(ABC):
    """Keys are segments of letters, digits, ``.``, ``_`` and ``-`` with ``/`` between, 256 characters at most.

    A prefix is one or more segments, each with its ``/``. Every call raises `Unavailable` when the values are away, and
    `Invalid` for what is no key, no prefix, or too long.
    """

    @abstractmethod
    async def get(self, key: str) -> Value | None:
        """Return what was last written, by whomever."""

    @abstractmethod
    async def read(self, prefix: str) -> dict[str, Value]:
        """Return all below ``prefix`` by key, in order, at one moment."""

    @abstractmethod
    async def put(self, key: str, value: bytes, *, cas: int | None = None) -> None:
        """Write one value; with ``cas`` only if its version is that one, 0: if there is none.

        Raises:
            Conflict: it has another version.
        """

    @abstractmethod
    async def put_all(self, values: Mapping[str, bytes | None]) -> None:
        """Write several values and remove those that are None: all or nothing, and a watcher sees all or nothing."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove a value, if there is one."""

    @abstractmethod
    def watch(self, prefix: str) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield all below ``prefix`` by key, now and whenever it changes; one who is slow gets the latest only.

        While the values are away nothing comes: what was seen last goes on to hold.

        Raises:
            Unavailable: it was closed.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless the values can be read."""

    @abstractmethod
    async def close(self) -> None: ...


def check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise Invalid(f"{key[:64]!r} cannot be the key of a value")


def check_prefix(prefix: str) -> None:
    if not _PREFIX.fullmatch(prefix):
        raise Invalid(f"{prefix[:64]!r} cannot be what keys begin with: segments, each with / after it")


def check_values(values: Mapping[str, bytes | None]) -> None:
    """Raise `Invalid` unless all of them can be written at once."""
    for key, value in values.items():
        check_key(key)
        if value is not None and len(value) > LONGEST:
            raise Invalid(f"the value of {key} has {len(value):,} bytes; {LONGEST:,} are possible")
    if len(values) > TOGETHER:
        raise Invalid(f"{len(values)} values cannot be written at once; {TOGETHER} can")
    total = sum(len(value or b"") for value in values.values())
    if len(values) > 1 and total > LONGEST_TOGETHER:
        raise Invalid(f"{total:,} bytes cannot be written at once; {LONGEST_TOGETHER:,} can")
