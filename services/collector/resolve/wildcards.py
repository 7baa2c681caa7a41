import asyncio
import re
from asyncio import Lock
from base64 import b32encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from ipaddress import ip_network
from typing import Final

from services.collector.resolve.answer import Answer

Ask = Callable[[Sequence[tuple[str, str]]], Awaitable[Sequence[Answer]]]

FIRST_PROBES: Final = 3
MORE_PROBES: Final = 6
MOST_PROBES: Final = 192
MOST_POOLED: Final = 4_096
FUTILE_ROUNDS: Final = 3
NETWORK: Final = {4: 24, 6: 48}


class Level:
    """What names that do not exist get right below ``parent``, for one record type.

    ``pool`` is everything seen. It is ``settled`` when three times as many items as it has brought nothing new.
    Where it never settles, the networks of its addresses count too, and when even those kept growing (``boundless``)
    nothing can be told apart.
    """

    def __init__(self, parent: str, type: str) -> None:
        self.parent = parent
        self.type = type
        self.pool: set[str] = set()
        self.networks: set[str] = set()
        self.known = False
        self.unknown = True
        self.settled = False
        self.boundless = False
        self.asked = 0
        self.turn = 0
        self.lock = Lock()
        self._quiet = 0
        self._quiet_items = 0
        self._quiet_networks = 0
        self._futile = 0

    def take(self, answers: Sequence[Answer]) -> None:
        """Learn from the answers to a round of probes, and decide whether another is needed."""
        self.asked += len(answers)
        replies = [answer for answer in answers if answer.asked]
        self._futile = 0 if replies else self._futile + 1
        self.unknown = self.unknown and not replies
        for answer in replies:
            self._see(set(answer.values) if not answer.chain else {masked(answer, self.parent)})
        enough = MORE_PROBES if self.pool else FIRST_PROBES
        self.settled = self._quiet >= enough and self._quiet_items >= 3 * len(self.pool)
        flooded = len(self.pool) >= MOST_POOLED
        growing = flooded or self._quiet_networks < min(len(self.networks), MOST_PROBES // 3)
        self.boundless = not self.settled and growing
        self.known = self.settled or flooded or self._futile >= FUTILE_ROUNDS or self.asked >= MOST_PROBES

    def open_again(self, turn: int) -> bool:
        """Whether to probe further in a later turn, since nothing that was asked until now was answered."""
        if not self.unknown or turn <= self.turn or self.asked >= MOST_PROBES:
            return False
        self.turn, self.known, self._futile = turn, False, 0
        return True

    def _see(self, items: set[str]) -> None:
        if items <= self.pool:
            self._quiet += 1
            self._quiet_items += len(items)
        else:
            self._quiet = self._quiet_items = 0
        networks = {network_of(item) for item in items}
        self._quiet_networks = self._quiet_networks + 1 if networks <= self.networks else 0
        if len(self.pool) < MOST_POOLED:
            self.pool |= items
            self.networks |= networks

    def gives(self, answer: Answer) -> bool:
        """Whether a wildcard here explains ``answer``."""
        if not self.pool or not answer.records:
            return False
        if answer.chain:
            items = {answer.chain[0], masked(answer, self.parent)}
            return bool(items & self.pool) or self.boundless
        items = set(answer.values)
        if self.settled:
            return bool(items) and items <= self.pool
        return self.boundless or any(network_of(item) in self.networks for item in items)


class Wildcards:
    """The wildcards of a scan, learnt level by level; a level is (parent name, record type).

    Probing right below the parent of a name shows what the closest wildcard above it gives, wherever that is defined.
    ``ask`` answers (name, type) pairs; it is called for one level at a time, with names that are a hash of ``salt``
    and the level, so that the same calls are made again in a replay. Levels right below the root's children (``org``)
    are not probed and have no members.
    """

    def __init__(self, ask: Ask, salt: bytes) -> None:
        self._ask = ask
        self._salt = salt
        self._levels: dict[tuple[str, str], Level] = {}

    async def learn(self, answers: Iterable[Answer], turn: int = 0) -> None:
        """Probe the levels of those answers that have records, as far as they are not known yet.

        In a later ``turn`` a level of which no probe was answered is probed further.
        """
        levels = {level_of(answer.name, answer.type) for answer in answers if answer.records}
        await asyncio.gather(*(self._probe(*level, turn) for level in sorted(levels) if "." in level[0]))

    def is_member(self, name: str, answer: Answer) -> bool:
        """Whether ``answer`` is what the closest wildcard above ``name`` gives; its level must have been learnt."""
        level = self._levels.get(level_of(name, answer.type))
        return level is not None and level.gives(answer)

    def is_unknown(self, name: str, type: str = "A") -> bool:
        """Whether the probes of the level of ``name`` got no answer, so that nothing can be said."""
        level = self._levels.get(level_of(name, type))
        return level is not None and level.unknown

    async def _probe(self, parent: str, type: str, turn: int) -> None:
        level = self._levels.setdefault((parent, type), Level(parent, type))
        async with level.lock:
            while not level.known or level.open_again(turn):
                count = max(MORE_PROBES, level.asked // 2) if level.pool else FIRST_PROBES
                count = min(count, MOST_PROBES - level.asked)
                names = (self._name(parent, ordinal) for ordinal in range(level.asked, level.asked + count))
                level.take(await self._ask([(name, type) for name in names]))

    def _name(self, parent: str, ordinal: int) -> str:
        digest = blake2b(f"{ordinal} {parent}".encode(), key=self._salt[:64], digest_size=10).digest()
        return f"{b32encode(digest).decode().lower()}.{parent}"


def level_of(name: str, type: str) -> tuple[str, str]:
    return name.partition(".")[2], type


def masked(answer: Answer, parent: str) -> str:
    """Where the first CNAME leads; a target that repeats the label asked for stands for all that repeat theirs."""
    label, target = answer.name.removesuffix("." + parent), answer.chain[0]
    if label not in target:
        return target
    return re.sub(rf"(?<![a-z0-9]){re.escape(label)}(?![a-z0-9])", "*", target)


def network_of(item: str) -> str:
    try:
        version = 6 if ":" in item else 4
        return str(ip_network(f"{item}/{NETWORK[version]}", strict=False))
    except ValueError:
        return item
