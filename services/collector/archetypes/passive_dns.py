"""What a passive DNS source saw: names, types, answers and perhaps when."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from services.collector.archetypes.names import MAX_NAMES, Period, any_name, during, join, name_below
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity, Malformed, Relation


class Sighting(NamedTuple):
    """One record as a source saw it; without a ``type`` it is an address record."""

    owner: str
    data: str
    type: str = ""
    period: Period = (None, None)


def records(sightings: Iterable[Sighting], seen: Entity) -> Iterator[Claim]:
    """Each name, and each relation that the records state, once, over the whole period in which they were seen.

    For a domain only names at or below it are taken; for anything else only what led to it.
    """
    named = seen.type == "domain"
    names: dict[Entity, Period] = {}
    stated: dict[tuple[str, Entity, Entity], tuple[Relation, Period]] = {}
    for sighting in sightings:
        name = name_below(sighting.owner, seen) if named else any_name(sighting.owner)
        if name is None or (name not in names and len(names) >= MAX_NAMES):
            continue
        relation = _relation(name, sighting, seen)
        if relation is not None:
            said = (relation.type, relation.source, relation.target)
            stated[said] = (relation, join(stated[said][1], sighting.period) if said in stated else sighting.period)
        elif not named:
            continue
        names[name] = join(names[name], sighting.period) if name in names else sighting.period
    for name, period in names.items():
        yield during(name, period)
    for relation, period in stated.values():
        yield during(relation, period)


def _relation(name: Entity, sighting: Sighting, seen: Entity) -> Relation | None:
    """The relation that a record states, None when it states none that is kept."""
    kind = sighting.type.strip().upper()
    try:
        if kind in {"", "A", "AAAA"}:
            address = entities.ip_address(sighting.data)
            return relations.resolves_to(name, address) if holds(seen, address) else None
        target = any_name(sighting.data)
        if target is None or target.key == name.key:
            return None
        if kind == "CNAME":
            return relations.alias_of(name, target)
        if kind == "NS":
            return relations.uses_nameserver(name, target)
        if kind == "MX":
            return relations.uses_mailserver(name, target)
    except Malformed:
        return None
    return None


def holds(seen: Entity, address: Entity) -> bool:
    """Whether an address answers the question: the one asked about, in the network asked about, or any for a name."""
    if seen.type == "ip_address":
        return address.key == seen.key
    if seen.type == "netblock":
        return ip_address(address.key[0]) in ip_network(seen.key[0])
    return True
