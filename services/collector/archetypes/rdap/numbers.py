"""What the registries of numbers hold: networks and autonomous systems."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from itertools import islice
from urllib.parse import urlsplit

from services.collector.archetypes.contacts import Contact, contacted
from services.collector.archetypes.documents import fitting
from services.collector.archetypes.names import weighed
from services.collector.archetypes.rdap.objects import Object, Prefix, contacts_of, parties
from services.collector.archetypes.sound import described, sound
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MAX_BLOCKS = 16
LARGEST = {4: 8, 6: 16}  # prefix lengths; anything larger says only that nobody has it
BY_REGISTER = 90  # the registry knows who holds a number; who uses it may be a customer of theirs

REGISTRIES = {
    "rdap.arin.net": "arin",
    "rdap.db.ripe.net": "ripencc",
    "rdap.apnic.net": "apnic",
    "rdap.lacnic.net": "lacnic",
    "rdap.afrinic.net": "afrinic",
    "rdap.registro.br": "registro.br",
}


def register_of(url: str) -> str:
    """The registry that a server belongs to; one that is not known goes by its host name."""
    host = urlsplit(url).hostname or ""
    return REGISTRIES.get(host, host)


def numbers(found: Object, things: list[Entity], register: str) -> Iterator[Claim]:
    """The registration of networks or a system, its facts, and its contacts with those who hold it."""
    registration = sound(entities.registration, register, found.handle or found.name or "")
    if registration is None:
        return
    yield registration
    yield from described(registration, **facts(found, register), remark=found.notes(), reference=found.references())
    for thing in things:
        yield relations.registered_as(thing, registration)
        yield from described(thing, **facts(found, register))
    for party in parties(found.entities):
        if (party.handle or "").upper().endswith("-MNT"):
            continue  # a maintainer of RIPE's or AFRINIC's database: a lock, not somebody
        for contact in contacts_of(party):
            if contact.kind == "org":
                yield from holder(contact, registration, things, register)
            else:
                yield from contacted(contact, registration, register)


def facts(found: Object, register: str) -> dict[str, str | int | tuple[str, ...] | None]:
    country = (found.country or "").upper()
    return {
        "network_name": found.name,
        "network_type": found.type,
        "registry": register,
        "allocated_at": found.happened("registration"),
        "updated_at": found.happened("last changed"),
        "status": found.state(),
        "country": country if len(country) == 2 else None,
    }


def holder(contact: Contact, registration: Entity, things: list[Entity], register: str) -> Iterator[Claim]:
    """An organisation that the registry has a handle for; by its name it is the same as elsewhere."""
    organisation = sound(entities.organization, register, contact.handle)
    named = sound(entities.organization, "name", contact.company, contact.country if len(contact.country) == 2 else "")
    yield from contacted(contact, registration, register)
    if organisation is not None:
        yield organisation
        yield from described(organisation, display_name=[contact.company], postal_address=[contact.address])
        if named is not None and not contact.hidden:
            yield relations.same_as(organisation, named, reason=f"its name at {register}")
    for thing in things if contact.role == "registrant" else ():
        if organisation is not None:
            yield weighed(relations.operated_by(thing, organisation, role="registrant"), BY_REGISTER)


def blocks_of(found: Object) -> list[Entity]:
    """The networks of an object, from its prefixes or else from its first and last address."""
    prefixes = fitting((found.cidr0_cidrs or ())[:MAX_BLOCKS], Prefix)
    texts = [f"{prefix.v4prefix or prefix.v6prefix}/{prefix.length}" for prefix in prefixes]
    return [block for text in texts or spanned(found) if (block := sound(entities.netblock, text)) is not None]


def spanned(found: Object) -> list[str]:
    try:
        first, last = ip_address(found.startAddress or ""), ip_address(found.endAddress or "")
        if isinstance(first, IPv4Address) and isinstance(last, IPv4Address):
            return [str(network) for network in islice(summarize_address_range(first, last), MAX_BLOCKS)]
        if isinstance(first, IPv6Address) and isinstance(last, IPv6Address):
            return [str(network) for network in islice(summarize_address_range(first, last), MAX_BLOCKS)]
    except ValueError:
        pass
    return []


def meets(block: Entity, seen: Entity) -> bool:
    """Whether a network has addresses in common with the subject, and is not the whole that IANA hands out."""
    network = ip_network(block.key[0])
    return network.prefixlen >= LARGEST[network.version] and network.overlaps(ip_network(seen.key[0]))
