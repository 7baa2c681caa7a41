"""Slows who guesses, and locks nobody out.

Whoever tries takes a token from the bucket of where he is; who guesses a password, from that of whom he tries to be
from there. All who try to be somebody from places where that person never logged in share a third one, so that many
machines guess no faster than a few, while the person is not slowed where she is at home. Who has the password takes
from one of the account alone, so that nobody else can use that up.
"""

from math import ceil
from typing import Final
from uuid import UUID

from services.auth.domain.sessions import network_of
from services.auth.domain.times import DAY
from services.auth.store import accounts as account_store
from services.kernel.cache import Bucket
from services.kernel.cache.memory import MemoryCache
from services.kernel.errors import Limited, Unavailable
from services.kernel.messages import now
from services.kernel.networks import site_of
from services.kernel.service import Ports

#: Of one network, of one account from there, and of one account from all networks that are not known as its person's.
NETWORK: Final = Bucket(rate=0.5, burst=60)
#: Of one customer of IPv6, who has 256 such networks, or as many as he likes.
SITE: Final = Bucket(rate=4, burst=480)
PERSON: Final = Bucket(rate=0.1, burst=10)
STRANGERS: Final = Bucket(rate=0.05, burst=30)
#: Of one account, of codes that come after the first factor, and of proofs of who is logged in, each: some hundred a
#: day, of a million codes.
CODES: Final = Bucket(rate=1 / 900, burst=10)
#: A network in which somebody logged in is known as his for so long.
KNOWN: Final = 90 * DAY


async def slow_down(ports: Ports, address: str) -> None:
    """Take a try of whoever is at an address.

    Raises:
        Limited: it is not taken yet.
    """
    # His own first: what is not taken of him takes nothing of his neighbours.
    await _take(ports, f"network:{_place(address)}", NETWORK)
    if site := site_of(address):
        await _take(ports, f"site:{site}", SITE)


async def slow_down_guesses(ports: Ports, address: str, who: str, account: UUID | None) -> None:
    """Take a try to be ``who`` from an address; ``account`` is who that is, if anybody.

    Raises:
        Limited: it is not taken yet.
    """
    place = _place(address)
    await _take(ports, f"person:{who}:{place}", PERSON)
    if account is None or not await _is_at_home(ports, account, place):
        await _take(ports, f"strangers:{who}", STRANGERS)


async def slow_down_codes(ports: Ports, address: str, account: UUID) -> None:
    """Take a try of one who has the first factor already, so that nobody else can use these up.

    Raises:
        Limited: it is not taken yet.
    """
    await _take(ports, f"code:{account.hex}:{await _whereabouts(ports, account, address)}", CODES)


async def slow_down_proofs(ports: Ports, address: str, account: UUID) -> None:
    """Take a try of who is logged in to show anew that it is he; it is none of a login's.

    Raises:
        Limited: it is not taken yet.
    """
    await _take(ports, f"proof:{account.hex}:{await _whereabouts(ports, account, address)}", CODES)


def _place(address: str) -> str:
    return network_of(address) or "nowhere"


async def _whereabouts(ports: Ports, account: UUID, address: str) -> str:
    return "home" if await _is_at_home(ports, account, _place(address)) else "away"


async def _is_at_home(ports: Ports, account: UUID, network: str) -> bool:
    async with ports.sql.read() as view:
        return await account_store.is_known_place(view, account, network, now() - KNOWN)


async def _take(ports: Ports, key: str, bucket: Bucket) -> None:
    try:
        seconds = await ports.cache.take(f"login:{key}", bucket)
    except Unavailable:
        # Without the fleet's cache each process counts by itself.
        own: MemoryCache = ports.state.setdefault("own cache", MemoryCache())
        seconds = await own.take(f"login:{key}", bucket)
    if seconds > 0.0:
        raise Limited(f"too many tries: the next one is taken in {ceil(seconds)} s", seconds)
