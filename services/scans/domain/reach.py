"""How far a scan reaches: which place an entity gets from the ones it is related to.

A place is a role and a distance, kept as two small integers. The scope gives some places by itself; every other one
comes over a relation from an entity that has one. What an entity gets is the strongest role and the smallest distance
over all ways that lead to it: a least fixed point, so the order in which relations become known does not matter.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from services.contracts.claims import Relation
from services.contracts.scope import ROLES, Role

#: Roles by rank, the strongest the highest; 0 is an entity that was seen and not admitted, -1 one that was ruled out.
NOBODY: Final = 0
RULED_OUT: Final = -1
RANKS: Final[dict[Role, int]] = {role: rank for rank, role in enumerate(reversed(ROLES), start=1)}
AFFILIATE: Final = RANKS["affiliate"]
IN_SCOPE: Final = RANKS["in_scope"]
FAR: Final = 32_767

Place = tuple[int, int]
UNPLACED: Final[Place] = (NOBODY, FAR)


class Way(IntEnum):
    """What one end of a relation gives to the other.

    PART: it belongs to the thing itself, so it is where the thing is; a target's part is in scope.
    STEP: another thing that the first one depends on: an affiliate, one step further.
    OWNED: as a step, but only from inside the scope: what is owned, not who else an owner has.
    ALONG: where an address or network lies: an affiliate, no further away than the affiliate that lies in it.
    BESIDE: shares a host or a certificate with it: co-hosted, one step further.
    OUTSIDE: only named there: external, one step further.
    """

    PART = 1
    STEP = 2
    OWNED = 3
    ALONG = 4
    BESIDE = 5
    OUTSIDE = 6


#: Per relation type: what its source gives to its target, and what its target gives to its source.
WAYS: Final[dict[str, tuple[Way | None, Way | None]]] = {
    "resolves_to": (Way.STEP, Way.BESIDE),
    "alias_of": (Way.STEP, Way.BESIDE),
    "uses_nameserver": (Way.STEP, None),
    "uses_mailserver": (Way.STEP, None),
    "reverse_resolves_to": (Way.BESIDE, None),
    "part_of": (Way.OUTSIDE, None),
    "announced_by": (Way.ALONG, Way.OWNED),
    "exposes": (Way.PART, None),
    "serves": (Way.BESIDE, Way.STEP),
    "presents": (Way.PART, None),
    "covers_name": (Way.BESIDE, Way.PART),
    "issued_by": (Way.OUTSIDE, None),
    "runs": (Way.PART, None),
    "links_to": (Way.OUTSIDE, None),
    "registered_as": (Way.PART, None),
    "has_contact": (Way.STEP, None),
    "operated_by": (Way.STEP, Way.OWNED),
    "controls": (Way.STEP, Way.OWNED),
    "member_of": (Way.STEP, Way.OWNED),
    "located_at": (Way.PART, None),
    "leaked_in": (Way.PART, None),
    "affected_by": (Way.PART, None),
    "mentions": (Way.OUTSIDE, None),
    "same_as": (Way.STEP, Way.STEP),
    "has_record": (Way.PART, None),
    "uses": (Way.PART, None),
}

#: Where the type of an end says more than the relation: (relation, type of the source, type of the target).
SPECIAL: Final[dict[tuple[str, str, str], tuple[Way | None, Way | None]]] = {
    ("part_of", "ip_address", "netblock"): (Way.ALONG, None),
    ("part_of", "netblock", "netblock"): (Way.ALONG, None),
    ("part_of", "organization", "organization"): (Way.STEP, Way.OWNED),
    ("exposes", "hostname", "service"): (Way.STEP, None),
    ("exposes", "domain", "service"): (Way.STEP, None),
}

#: Who acts for many in these roles is no affiliate of any of them.
PROVIDER_ROLES: Final = frozenset({"registrar", "reseller", "sponsor", "abuse", "hosting", "carrier", "registry"})

#: Types that say what a thing is like; found without a relation, they belong to what the item was about.
_PARTS: Final = frozenset(
    {
        *("dns_record", "certificate", "technology", "web_tracker", "fingerprint", "cloud_tenant", "file", "location"),
        *("registration", "vulnerability", "breach", "credential", "crypto_key", "publication", "transaction"),
    }
)
#: Types that somebody is reached or known by.
_CONTACTS: Final = frozenset(
    {
        *("email_address", "phone_number", "username", "account", "person", "organization", "identifier"),
        *("crypto_address", "payment_instrument", "code_repository", "mobile_app", "cloud_resource"),
    }
)


def way_found(type: str) -> Way:
    """What a work item's subject gives to an entity of ``type`` that its result names without a relation."""
    if type in _PARTS:
        return Way.PART
    return Way.STEP if type in _CONTACTS else Way.OUTSIDE


def ways_over(relation: Relation) -> tuple[Way | None, Way | None]:
    """What the source of ``relation`` gives to its target, and the target to its source."""
    source, target = relation.source.type, relation.target.type
    found = SPECIAL.get((relation.type, source, target)) or WAYS.get(relation.type, (Way.OUTSIDE, None))
    if relation.type == "mentions" and target in _CONTACTS:
        return (Way.STEP, None)
    if relation.type == "uses" and target == "cloud_resource":
        return (Way.STEP, None)
    if relation.type in ("has_contact", "operated_by") and relation.qualifiers.get("role") in PROVIDER_ROLES:
        return (Way.OUTSIDE, None)
    return found


def pass_on(way: int, role: int, distance: int, depth: int) -> Place:
    """The place that ``way`` gives from an entity at (``role``, ``distance``), or `UNPLACED`.

    Only targets, what is in scope and affiliates give any; nothing is placed more than ``depth`` steps outside.
    """
    inside = role >= IN_SCOPE
    if role < AFFILIATE:
        return UNPLACED
    further = distance + 1
    if way == Way.PART:
        given = (IN_SCOPE if inside else AFFILIATE, distance)
    elif way == Way.STEP or (way == Way.OWNED and inside):
        given = (AFFILIATE, further)
    elif way == Way.ALONG:
        given = (AFFILIATE, further if inside else distance)
    elif way == Way.BESIDE:
        given = (RANKS["co_hosted"], further)
    elif way == Way.OUTSIDE:
        given = (RANKS["external"], further)
    else:
        return UNPLACED
    return given if given[1] <= depth else UNPLACED


def role_of(rank: int) -> Role:
    """The role of a rank; what has no place has no role."""
    if rank <= 0:
        raise ValueError(rank)
    return ROLES[len(ROLES) - rank]


class Member:
    """An entity in a scan, by its id: where it is, and where it was when the work began."""

    __slots__ = ("distance", "id", "known", "role", "was_distance", "was_role")

    def __init__(self, id: bytes, place: Place, *, known: bool) -> None:
        self.id = id
        self.role, self.distance = place
        self.was_role, self.was_distance = place if known else UNPLACED
        self.known = known

    @property
    def inside(self) -> bool:
        return self.role >= IN_SCOPE

    @property
    def improved(self) -> bool:
        return self.role != self.was_role or self.distance != self.was_distance


class Frontier:
    """The part of a scan's entities that a piece of work touches, and the ways between them.

    Feed it with `place` and `link`, then `settle`. Entities that were known before and have got better may have ways
    of their own that were not loaded: `settle` returns them, to be linked and settled again until it returns none.
    """

    def __init__(self, depth: int) -> None:
        self.members: dict[bytes, Member] = {}
        self._depth = depth
        self._ways: dict[bytes, dict[tuple[bytes, int], bool]] = {}
        self._queue: dict[bytes, None] = {}
        self._loaded: set[bytes] = set()

    def place(self, id: bytes, place: Place, *, known: bool) -> None:
        """Take in an entity: one that is ``known`` with the place it has, a new one with what the scope gives it."""
        self.members[id] = Member(id, place, known=known)

    def link(self, origin: bytes, heir: bytes, way: int, *, stored: bool = False) -> None:
        """Take in a way between two entities that are there; nothing better can come to one that is inside."""
        to = self.members[heir]
        if to.inside or to.role == RULED_OUT:
            return
        ways = self._ways.get(origin)
        if ways is None:
            ways = self._ways[origin] = {}
        if (heir, way) not in ways:
            ways[heir, way] = stored
            self._queue[origin] = None

    def settle(self) -> list[bytes]:
        """Let every place have its effect; return the known entities that got better and whose ways are not loaded."""
        unloaded: dict[bytes, None] = {}
        while self._queue:
            origin = self.members[self._queue.popitem()[0]]
            for heir, way in self._ways.get(origin.id, ()):
                if self._give(self.members[heir], pass_on(way, origin.role, origin.distance, self._depth)):
                    self._queue[heir] = None
                    if self.members[heir].known and heir not in self._loaded:
                        unloaded[heir] = None
        self._loaded.update(unloaded)
        return list(unloaded)

    def ways(self) -> Iterator[tuple[bytes, bytes, int]]:
        """The ways to store: those that may matter again, because their origin is not inside yet."""
        for origin, heirs in self._ways.items():
            if not self.members[origin].inside:
                for (heir, way), stored in heirs.items():
                    if not stored:
                        yield origin, heir, way

    def improved(self) -> Iterator[Member]:
        """The admitted entities that are better placed than before."""
        return (member for member in self.members.values() if member.role > NOBODY and member.improved)

    @staticmethod
    def _give(heir: Member, given: Place) -> bool:
        role, distance = given
        if role == NOBODY or heir.role == RULED_OUT:
            return False
        better = role > heir.role or distance < heir.distance
        heir.role = max(role, heir.role)
        heir.distance = min(distance, heir.distance)
        return better
