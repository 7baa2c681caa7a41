"""What people have decided belongs together: merging is a view, so that taking it back loses nothing.

Entities keep all that is said of them. A cluster is what accepted pairs connect, found by union-find; one of its
members stands for it. A rejected pair within a cluster is a contradiction, which is reported and left to people.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct

from services.correlation.domain.identity.hypotheses import Pair
from services.correlation.domain.identity.traits import Subject

Verdict = Literal["accepted", "rejected"]
#: Registers that give an organisation an id for life come before those that any name may be entered in, names last.
_REGISTERS: Final = ("lei", "duns", "vat")


class Cluster(Struct, frozen=True):
    """Entities that are one; ``links`` are the accepted pairs, ``conflicts`` rejected ones between members."""

    members: tuple[Subject, ...]
    links: tuple[Pair, ...]
    conflicts: tuple[Pair, ...]

    @property
    def representative(self) -> Subject:
        return self.members[0]


class UnionFind:
    """Sets of things that grow together, with halved paths and the smaller set below the larger one."""

    def __init__(self) -> None:
        self._parent: dict[bytes, bytes] = {}
        self._size: dict[bytes, int] = {}

    def find(self, thing: bytes) -> bytes:
        parent = self._parent
        parent.setdefault(thing, thing)
        while parent[thing] != thing:
            parent[thing] = thing = parent[parent[thing]]
        return thing

    def join(self, one: bytes, other: bytes) -> None:
        one, other = self.find(one), self.find(other)
        if one == other:
            return
        if self._size.get(one, 1) < self._size.get(other, 1):
            one, other = other, one
        self._parent[other] = one
        self._size[one] = self._size.get(one, 1) + self._size.get(other, 1)

    def sets(self) -> Iterator[set[bytes]]:
        found: dict[bytes, set[bytes]] = {}
        for thing in list(self._parent):
            found.setdefault(self.find(thing), set()).add(thing)
        yield from found.values()


def clusters_of(decided: Iterable[tuple[Subject, Subject, Verdict]]) -> list[Cluster]:
    """The clusters that decisions make, whatever their order; those who are with nobody are in none."""
    subjects: dict[bytes, Subject] = {}
    pairs: dict[Verdict, set[Pair]] = {"accepted": set(), "rejected": set()}
    union = UnionFind()
    for one, other, verdict in decided:
        subjects[one.id], subjects[other.id] = one, other
        pairs[verdict].add((min(one.id, other.id), max(one.id, other.id)))
        if verdict == "accepted":
            union.join(one.id, other.id)
    found = []
    for together in union.sets():
        members = sorted((subjects[member] for member in together), key=_precedence)
        found.append(
            Cluster(
                members=tuple(members),
                links=tuple(sorted(pair for pair in pairs["accepted"] if pair[0] in together)),
                conflicts=tuple(sorted(pair for pair in pairs["rejected"] if together.issuperset(pair))),
            )
        )
    return sorted(found, key=lambda cluster: _precedence(cluster.representative))


def _precedence(subject: Subject) -> tuple[object, ...]:
    """Who stands for a cluster: an organisation's lasting id, else the shortest name."""
    if subject.type == "organization":
        scheme, colon, _ = subject.value.partition(":")
        rank = _REGISTERS.index(scheme) if scheme in _REGISTERS else len(_REGISTERS) + (not colon)
        return (rank, len(subject.value), subject.value, subject.id)
    return (0, len(subject.value), subject.value, subject.id)
