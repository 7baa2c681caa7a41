"""What was made is kept by what it was made of: a picture or a series of the same content is not made again."""

from hashlib import blake2b
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from services.kernel.errors import Exhausted, Unavailable
from services.kernel.service import Ports

T = TypeVar("T")

#: Seconds, and the most bytes of one: a picture of 20,000 nodes and 100,000 edges is 11 MB.
KEEPING: Final = 86_400.0
LARGEST: Final = 16 << 20


def key_of(*parts: Any) -> str:
    """The name of what is made of these: of contents, options and the version of the code."""
    return blake2b(msgspec.msgpack.encode(parts), digest_size=16).hexdigest()


async def find(ports: Ports, workspace: UUID, key: str, form: type[T]) -> T | None:
    """Return what was made of the same; nothing where the cache is away, or has it in another form."""
    try:
        found = await ports.cache.get(f"{workspace}/{key}")
        return None if found is None else msgspec.msgpack.decode(found, type=form)
    except (Unavailable, msgspec.MsgspecError):
        return None


async def keep(ports: Ports, workspace: UUID, key: str, made: Any) -> None:
    """Keep what was made, unless it is too large or the cache is away: it can be made again."""
    content = msgspec.msgpack.encode(made)
    if len(content) <= LARGEST:
        try:
            await ports.cache.set(f"{workspace}/{key}", content, KEEPING)
        except (Unavailable, Exhausted):
            return
