"""What was begun is ended once, by who began it, for what he began it, and soon."""

import asyncio

import pytest
from msgspec import Struct

from services.auth.usecases import ceremonies
from services.kernel.cache.memory import MemoryCache
from services.kernel.errors import Unavailable
from services.kernel.tokens import make_token
from tests.services.auth.home import Clock, Home


class Kept(Struct, frozen=True):
    text: str


KEPT = Kept("what has to be known at the end")


class SlowCache(MemoryCache):
    """One behind a network: others come between two questions."""

    async def get(self, key: str) -> bytes | None:
        found = await super().get(key)
        await asyncio.sleep(0)
        return found


async def test_of_those_who_come_at_once_one_gets_it(home: Home) -> None:
    home.ports.cache = SlowCache()
    begun = await ceremonies.begin(home.ports, "log in", KEPT)
    assert await ceremonies.look(home.ports, "log in", begun, Kept) == KEPT
    found = await asyncio.gather(*(ceremonies.take(home.ports, "log in", begun, Kept) for _ in range(5)))
    assert sorted(found, key=repr) == [KEPT, None, None, None, None]
    assert await ceremonies.look(home.ports, "log in", begun, Kept) is None


async def test_it_is_kept_for_one_purpose_and_for_a_while(home: Home, clock: Clock) -> None:
    begun = await ceremonies.begin(home.ports, "log in", KEPT)
    assert await ceremonies.take(home.ports, "link", begun, Kept) is None
    clock.forward(ceremonies.LASTS - 10)
    assert await ceremonies.look(home.ports, "log in", begun, Kept) == KEPT
    clock.forward(20)
    assert await ceremonies.take(home.ports, "log in", begun, Kept) is None


async def test_its_secret_is_not_guessed_and_not_kept(home: Home) -> None:
    begun = await ceremonies.begin(home.ports, "log in", KEPT)
    assert begun not in repr(home.cache._values)
    for other in ("", "guess", make_token("beg"), make_token("pat"), begun + " ", begun.upper()):
        assert await ceremonies.look(home.ports, "log in", other, Kept) is None


async def test_without_the_cache_nothing_is_begun_or_ended(home: Home) -> None:
    begun = await ceremonies.begin(home.ports, "log in", KEPT)
    await home.cache.close()
    with pytest.raises(Unavailable):
        await ceremonies.begin(home.ports, "log in", KEPT)
    with pytest.raises(Unavailable):
        await ceremonies.take(home.ports, "log in", begun, Kept)
