"""What a collector knows of provider keys: all of them at once, and none before it is said that these are all."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.collector import keys
from services.collector.keys import KeyRing
from services.contracts.keys import KEYS, PROJECTED
from services.kernel.errors import Unavailable
from services.kernel.seal import Seal, make_key
from services.kernel.values.local import LocalValues

SEAL = Seal(make_key())


@pytest.fixture
async def values() -> AsyncIterator[LocalValues]:
    opened = LocalValues()
    yield opened
    await opened.close()


@pytest.fixture
async def ring(values: LocalValues) -> AsyncIterator[KeyRing]:
    opened = KeyRing(values, SEAL)
    following = asyncio.create_task(opened.follow())
    yield opened
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def found(ring: KeyRing, name: str, secret: str | None) -> None:
    async with asyncio.timeout(10):
        while ring.find(name) != secret:
            await asyncio.sleep(0)


async def test_a_key_is_opened_changed_and_forgotten_as_it_is_shared(ring: KeyRing, values: LocalValues) -> None:
    await values.put_all({KEYS + "shodan": SEAL.seal("shodan", "one").encode(), PROJECTED: b"1"})
    await ring.known()
    assert ring.find("shodan") == "one"
    await values.put(KEYS + "shodan", SEAL.seal("shodan", "two").encode())
    await found(ring, "shodan", "two")
    await values.delete(KEYS + "shodan")
    await found(ring, "shodan", None)


async def test_before_all_are_shared_none_is_known(
    ring: KeyRing, values: LocalValues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "KNOWN_WITHIN", 0.05)
    await values.put(KEYS + "shodan", SEAL.seal("shodan", "one").encode())
    with pytest.raises(Unavailable, match="is the service configuration there"):
        await ring.known()
    await values.put(PROJECTED, b"1")
    await ring.known()
    assert ring.find("shodan") == "one"


async def test_one_that_cannot_be_opened_costs_none_of_the_others(ring: KeyRing, values: LocalValues) -> None:
    other = Seal(make_key()).seal("github", "x")
    sealed = {
        "shodan": SEAL.seal("shodan", "one"),
        "github": other,
        "censys": SEAL.seal("shodan", "one"),
        "bad": "\xff",
    }
    await values.put_all({**{KEYS + name: each.encode() for name, each in sealed.items()}, PROJECTED: b"1"})
    await ring.known()
    assert {name: ring.find(name) for name in sealed} == {"shodan": "one", "github": None, "censys": None, "bad": None}
    assert [name for name in (*sealed, "unset") if ring.is_shut(name)] == ["github", "censys", "bad"]


async def test_one_that_opened_goes_on_to_hold_while_another_master_key_is_brought_out(
    ring: KeyRing, values: LocalValues
) -> None:
    await values.put_all({KEYS + "shodan": SEAL.seal("shodan", "one").encode(), PROJECTED: b"1"})
    await ring.known()
    other = Seal(make_key())
    await values.put_all({KEYS + name: other.seal(name, "two").encode() for name in ("shodan", "github")})
    async with asyncio.timeout(10):
        while not ring.is_shut("github"):
            await asyncio.sleep(0)
    assert (ring.find("shodan"), ring.is_shut("shodan")) == ("one", False)
