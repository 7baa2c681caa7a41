"""What is begun here and ended after somebody was elsewhere: at his authenticator, or at a provider.

What has to be known at the end is kept in the cache for some minutes, and is taken once. Who began gets a secret that
names it; nobody else can end it, and it ends nothing that was begun for another purpose.
"""

from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from services.kernel.service import Ports
from services.kernel.tokens import digest_of, kind_of, make_token

S = TypeVar("S", bound=Struct)

Purpose = Literal["make passkey", "use passkey", "log in", "link", "second factor"]
KIND: Final = "beg"
#: Seconds for which one that was begun can be ended.
LASTS: Final = 600.0


async def begin(ports: Ports, purpose: Purpose, kept: Struct) -> str:
    """Keep what has to be known at the end; return the secret of who began."""
    begun = make_token(KIND)
    await begin_as(ports, purpose, begun, kept)
    return begun


async def begin_as(ports: Ports, purpose: Purpose, begun: str, kept: Struct) -> None:
    """As `begin`, by a secret of an earlier step."""
    await ports.cache.set(_key(purpose, begun), msgspec.json.encode(kept), LASTS)


async def look(ports: Ports, purpose: Purpose, begun: str, form: type[S]) -> S | None:
    """What was kept, as long as nobody has taken it."""
    if kind_of(begun) != KIND:
        return None
    found = await ports.cache.get(_key(purpose, begun))
    return msgspec.json.decode(found, type=form) if found is not None else None


async def take(ports: Ports, purpose: Purpose, begun: str, form: type[S]) -> S | None:
    """What was kept, for the first who comes; nothing for all others, also of those who come at once."""
    found = await look(ports, purpose, begun, form)
    key = _key(purpose, begun)
    if found is None or await ports.cache.add(f"{key}:taken", 1, 2 * LASTS) != 1:
        return None
    await ports.cache.delete(key)
    return found


def _key(purpose: Purpose, begun: str) -> str:
    return f"begun:{purpose.replace(' ', '-')}:{digest_of(begun).hex()}"
