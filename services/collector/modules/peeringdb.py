"""PeeringDB is where networks describe themselves to those who would peer with them. It is asked for a system or an
organisation: who runs it, how it is reached, where it is present; it learns what was asked.
"""

from collections.abc import AsyncIterator, Iterator

import msgspec

from services.collector.archetypes.contacts import role_of
from services.collector.archetypes.documents import fitting, refuse_pages, secret
from services.collector.archetypes.names import weighed
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="peeringdb",
    version=2,
    title="PeeringDB",
    activity="passive",
    source="https://www.peeringdb.com/",
    format="https://www.peeringdb.com/apidocs/",
    consumes=("asn", "organization"),
    produces=(
        "asn",
        "organization",
        "ip_address",
        "location",
        "email_address",
        "phone_number",
        "operated_by",
        "has_contact",
        "located_at",
        "same_as",
    ),
    hosts=("www.peeringdb.com",),
    key="peeringdb",
    affiliates=False,
    rate=0.3,
    burst=20,
    freshness=604_800,
    licence="PeeringDB acceptable use policy",
    key_adds="contacts that are shown to registered users only, and 40 requests a minute there instead of 20",
)

API = "https://www.peeringdb.com/api"
BY_OWN_WORD = 90
BY_NAME = 80  # of the same name, and in the same trade
MAX_PLACES = 100
MAX_PORTS = 200
MAX_CONTACTS = 20


class Document(msgspec.Struct):
    data: list[msgspec.Raw]


class Organisation(msgspec.Struct):
    id: int
    name: str
    aka: str | None = None
    name_long: str | None = None
    website: str | None = None
    address1: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None
    created: str | None = None
    updated: str | None = None
    net_set: list[msgspec.Raw] | None = None


class Facility(msgspec.Struct):
    city: str | None = None
    country: str | None = None


class Port(msgspec.Struct):
    ipaddr4: str | None = None
    ipaddr6: str | None = None


class Person(msgspec.Struct):
    role: str
    email: str | None = None
    phone: str | None = None


class Network(msgspec.Struct):
    asn: int
    id: int | None = None
    name: str | None = None
    aka: str | None = None
    org: msgspec.Raw = msgspec.Raw(b"null")
    website: str | None = None
    looking_glass: str | None = None
    route_server: str | None = None
    irr_as_set: str | None = None
    info_type: str | None = None
    info_prefixes4: int | None = None
    info_prefixes6: int | None = None
    info_traffic: str | None = None
    info_ratio: str | None = None
    info_scope: str | None = None
    policy_general: str | None = None
    ix_count: int | None = None
    fac_count: int | None = None
    created: str | None = None
    updated: str | None = None
    netfac_set: list[msgspec.Raw] | None = None
    netixlan_set: list[msgspec.Raw] | None = None
    poc_set: list[msgspec.Raw] | None = None


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    if seen.type == "asn":
        url, question = f"{API}/net", {"asn": seen.key[0], "depth": "2"}
    elif seen.key[0] in {"name", "peeringdb"}:
        url, question = f"{API}/org", {"name" if seen.key[0] == "name" else "id": seen.key[1], "depth": "2"}
    else:
        return  # it knows no other keys, and the name that it is the same as is asked for by itself
    answer = await ctx.http.get(url, question, secret=secret(ctx, "Authorization:", "Api-Key {key}"))
    refuse_pages(answer)
    yield answer


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    document = answer.json(Document)
    if seen.type == "asn":
        for network in fitting(document.data, Network):
            if str(network.asn) == seen.key[0]:
                yield from described_network(network, seen)
        return
    for found in fitting(document.data, Organisation):
        organisation = sound(entities.organization, "peeringdb", str(found.id))
        if organisation is not None and asked_for(found, seen):
            yield from described_organisation(found, organisation)
            for network in fitting(found.net_set or (), Network):
                system = sound(entities.asn, network.asn)
                if system is not None:
                    yield system
                    yield from described(system, display_name=[network.name])
                    yield weighed(relations.operated_by(system, organisation), BY_OWN_WORD)


def asked_for(found: Organisation, seen: Entity) -> bool:
    """Whether an organisation has the id, or the name, that was asked for."""
    if seen.key[0] == "peeringdb":
        return str(found.id) == seen.key[1]
    names = (sound(entities.organization, "name", name) for name in (found.name, found.aka, found.name_long) if name)
    return any(name is not None and name.key[1] == seen.key[1] for name in names)


def described_organisation(found: Organisation, organisation: Entity) -> Iterator[Claim]:
    country = (found.country or "").upper()
    parts = (found.address1, found.zipcode, found.city, found.state, country)
    yield organisation
    yield from described(
        organisation,
        display_name=[found.name],
        other_name=[found.aka, found.name_long],
        website=[found.website],
        postal_address=[", ".join(part for part in parts if part)],
        country=country,
        created_at=instant(found.created),
        updated_at=instant(found.updated),
    )
    place = sound(entities.location, "city", found.city, country) if found.city and country else None
    if place is not None:
        yield place
        yield relations.located_at(organisation, place, basis="stated")
    named = sound(entities.organization, "name", found.name, country)
    if named is not None:
        yield weighed(relations.same_as(organisation, named, reason="its name at PeeringDB"), BY_NAME)


def described_network(network: Network, system: Entity) -> Iterator[Claim]:
    yield from described(
        system,
        display_name=[network.name, network.aka],
        website=[network.website],
        looking_glass=network.looking_glass,
        route_server=network.route_server,
        routing_set=(network.irr_as_set or "").split(),
        network_type=network.info_type,
        prefixes_ipv4=network.info_prefixes4,
        prefixes_ipv6=network.info_prefixes6,
        traffic=network.info_traffic,
        traffic_ratio=network.info_ratio,
        routing_scope=network.info_scope,
        peering_policy=network.policy_general,
        exchange_count=network.ix_count,
        facility_count=network.fac_count,
        created_at=instant(network.created),
        updated_at=instant(network.updated),
        source_id=[None if network.id is None else f"peeringdb net {network.id}"],
    )
    yield from contacts(network, system)
    yield from presence(network, system)
    for found in fitting([network.org], Organisation):
        organisation = sound(entities.organization, "peeringdb", str(found.id))
        if organisation is not None:
            yield from described_organisation(found, organisation)
            yield weighed(relations.operated_by(system, organisation), BY_OWN_WORD)
            yield from ports(network, organisation)


def contacts(network: Network, system: Entity) -> Iterator[Claim]:
    """Who to reach, as far as it is shown to everybody."""
    for person in fitting((network.poc_set or ())[:MAX_CONTACTS], Person):
        role = role_of(person.role)
        for way in (
            sound(entities.email_address, person.email or ""),
            sound(entities.phone_number, person.phone or ""),
        ):
            relation = None if way is None else sound(relations.has_contact, system, way, role=role)
            if way is not None and relation is not None:
                yield way
                yield relation


def presence(network: Network, system: Entity) -> Iterator[Claim]:
    """The cities of the buildings where it is."""
    places = {
        place
        for facility in fitting((network.netfac_set or ())[:MAX_PLACES], Facility)
        if facility.country
        and (place := sound(entities.location, "city", facility.city or "", facility.country)) is not None
    }
    for place in sorted(places, key=lambda place: place.key):
        yield place
        yield relations.located_at(system, place, basis="stated")


def ports(network: Network, organisation: Entity) -> Iterator[Claim]:
    """The addresses of its routers at exchanges."""
    for port in fitting((network.netixlan_set or ())[:MAX_PORTS], Port):
        for address in (sound(entities.ip_address, port.ipaddr4 or ""), sound(entities.ip_address, port.ipaddr6 or "")):
            if address is not None:
                yield address
                yield weighed(relations.operated_by(address, organisation, role="peering"), BY_OWN_WORD)
