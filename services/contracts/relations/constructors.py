"""A function for each type of relation, with its qualifiers and details as parameters."""

from services.contracts.claims import Entity, Relation
from services.contracts.relations.table import relation


def resolves_to(source: Entity, target: Entity, *, record: str = "", ttl: int | None = None) -> Relation:
    """A name to an address; ``record`` is A or AAAA, and by the form of the address when it is left out."""
    qualifiers = {"record": record or ("AAAA" if ":" in target.value else "A")}
    return relation("resolves_to", source, target, qualifiers=qualifiers, details={"ttl": ttl})


def alias_of(source: Entity, target: Entity, *, record: str = "CNAME", ttl: int | None = None) -> Relation:
    """A name to the name it is an alias of; ``record`` is CNAME or DNAME."""
    return relation("alias_of", source, target, qualifiers={"record": record}, details={"ttl": ttl})


def uses_nameserver(source: Entity, target: Entity, *, ttl: int | None = None) -> Relation:
    return relation("uses_nameserver", source, target, details={"ttl": ttl})


def uses_mailserver(
    source: Entity, target: Entity, *, preference: int | None = None, ttl: int | None = None
) -> Relation:
    return relation("uses_mailserver", source, target, details={"preference": preference, "ttl": ttl})


def reverse_resolves_to(source: Entity, target: Entity, *, ttl: int | None = None) -> Relation:
    return relation("reverse_resolves_to", source, target, details={"ttl": ttl})


def part_of(source: Entity, target: Entity) -> Relation:
    return relation("part_of", source, target)


def announced_by(source: Entity, target: Entity) -> Relation:
    return relation("announced_by", source, target)


def exposes(source: Entity, target: Entity) -> Relation:
    return relation("exposes", source, target)


def serves(source: Entity, target: Entity, *, sni: str = "", host: str = "") -> Relation:
    """A service to what it answers for; ``sni`` and ``host`` are the names that were asked for."""
    return relation("serves", source, target, qualifiers={"sni": sni, "host": host})


def presents(source: Entity, target: Entity, *, sni: str = "", position: int | None = None) -> Relation:
    """A service to a certificate; ``position`` is its place in the chain that was sent, from 0."""
    return relation("presents", source, target, qualifiers={"sni": sni}, details={"position": position})


def covers_name(source: Entity, target: Entity, *, wildcard: bool = False, field: str = "") -> Relation:
    """A certificate to a name; ``field`` is where it stands: ``cn``, ``san``."""
    qualifiers = {"wildcard": "yes" if wildcard else ""}
    return relation("covers_name", source, target, qualifiers=qualifiers, details={"field": field})


def issued_by(source: Entity, target: Entity) -> Relation:
    return relation("issued_by", source, target)


def runs(source: Entity, target: Entity, *, evidence: str = "") -> Relation:
    """A thing to software; ``evidence`` says in a few words what showed it."""
    return relation("runs", source, target, details={"evidence": evidence})


def links_to(source: Entity, target: Entity, *, element: str = "", text: str = "") -> Relation:
    """A page to a place it names; ``element`` is by what: anchor, script, form, redirect, policy."""
    return relation("links_to", source, target, qualifiers={"element": element}, details={"text": text})


def registered_as(source: Entity, target: Entity) -> Relation:
    return relation("registered_as", source, target)


def has_contact(source: Entity, target: Entity, *, role: str) -> Relation:
    """A registration, organisation, name or network to who is reached about it in ``role``."""
    return relation("has_contact", source, target, qualifiers={"role": role})


def operated_by(source: Entity, target: Entity, *, role: str = "") -> Relation:
    return relation("operated_by", source, target, qualifiers={"role": role})


def controls(source: Entity, target: Entity) -> Relation:
    return relation("controls", source, target)


def member_of(source: Entity, target: Entity, *, title: str = "") -> Relation:
    return relation("member_of", source, target, details={"title": title})


def located_at(source: Entity, target: Entity, *, basis: str = "") -> Relation:
    """A thing to a place; ``basis`` is ``registered``, ``measured`` or ``stated``."""
    return relation("located_at", source, target, qualifiers={"basis": basis})


def leaked_in(source: Entity, target: Entity) -> Relation:
    return relation("leaked_in", source, target)


def affected_by(source: Entity, target: Entity) -> Relation:
    return relation("affected_by", source, target)


def mentions(source: Entity, target: Entity, *, offset: int | None = None, context: str = "") -> Relation:
    """A text to what it has in it, ``offset`` characters from its beginning."""
    return relation("mentions", source, target, details={"offset": offset, "context": context})


def same_as(source: Entity, target: Entity, *, reason: str = "") -> Relation:
    return relation("same_as", source, target, details={"reason": reason})


def has_record(source: Entity, target: Entity, *, ttl: int | None = None) -> Relation:
    return relation("has_record", source, target, details={"ttl": ttl})


def uses(source: Entity, target: Entity) -> Relation:
    return relation("uses", source, target)
