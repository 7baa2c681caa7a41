"""When the lab's passive sources saw a name, and what is at an address by their word."""

from datetime import datetime, timedelta
from hashlib import sha256

from lab.world import World


def period(world: World, source: str, name: str) -> tuple[datetime, datetime]:
    """First and last time that a source saw a name: a stale one ends when it was last seen, the others these days."""
    chance = int(sha256(f"{world.seed} {source} {name}".encode()).hexdigest()[:8], 16)
    stale = next((stale for stale in world.stale if stale.name == name), None)
    last = stale.last_seen if stale else world.now - timedelta(days=chance % 21, seconds=chance % 86_399)
    first = last - timedelta(days=30 + chance % 1400, seconds=chance % 50_000)
    return first.replace(microsecond=0), last.replace(microsecond=0)


def names_at(world: World, source: str, address: str) -> list[str]:
    """The names that a source saw at an address, other people's among them, sorted."""
    known = [name for domain in world.organisation.domains for name in world.known_names(source, domain)]
    names = [name for name in known if world.last_address(name) == address]
    return sorted({*names, *(stranger.name for stranger in world.strangers if stranger.address == address)})


def known_to(world: World, source: str) -> list[str]:
    """Every name of the target that a source knows."""
    return [name for domain in world.organisation.domains for name in world.known_names(source, domain)]
