"""GLEIF publishes the legal entity identifiers of companies and who owns whom. It is asked for an organisation by name
or LEI, and lists its legal name, address, register and state, its parents and its children; it learns what was asked.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import msgspec

from services.collector.archetypes.documents import fitting, refuse_pages
from services.collector.archetypes.names import weighed
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer, Truncated
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="gleif",
    version=2,
    title="GLEIF",
    activity="passive",
    source="https://www.gleif.org/en/lei-data/gleif-api",
    format="https://documenter.getpostman.com/view/7679680/SVYrrxuU",
    consumes=("organization",),
    produces=("organization", "location", "identifier", "part_of", "located_at", "same_as", "controls"),
    hosts=("api.gleif.org",),
    rate=1.0,
    burst=60,
    cost=3.0,
    freshness=604_800,
    licence="CC0-1.0",
)

API = "https://api.gleif.org/api/v1/lei-records"
ACCEPT = {"Accept": "application/vnd.api+json"}
MAX_RECORDS = 50
SAME_NAME = 60  # names are unique in a register at best
SAME_NAME_AND_COUNTRY = 85
LEGAL_NAME = 95


class Name(msgspec.Struct):
    name: str


class Coded(msgspec.Struct):
    id: str | None = None
    other: str | None = None


class Address(msgspec.Struct):
    addressLines: list[str] = []  # noqa: N815 - the names of the API
    city: str | None = None
    region: str | None = None
    country: str | None = None
    postalCode: str | None = None  # noqa: N815


class LegalEntity(msgspec.Struct):
    legalName: Name  # noqa: N815
    otherNames: list[Name] | None = None  # noqa: N815
    legalAddress: Address | None = None  # noqa: N815
    headquartersAddress: Address | None = None  # noqa: N815
    registeredAt: Coded | None = None  # noqa: N815
    registeredAs: str | None = None  # noqa: N815
    jurisdiction: str | None = None
    legalForm: Coded | None = None  # noqa: N815
    status: str | None = None
    creationDate: str | None = None  # noqa: N815


class Registration(msgspec.Struct):
    status: str | None = None
    lastUpdateDate: str | None = None  # noqa: N815
    nextRenewalDate: str | None = None  # noqa: N815


class Attributes(msgspec.Struct):
    lei: str
    entity: LegalEntity
    registration: Registration | None = None
    bic: list[str] | None = None


class Record(msgspec.Struct):
    attributes: Attributes
    relationships: dict[str, Any] = {}


class Pagination(msgspec.Struct, frozen=True):
    total: int = 0


class Meta(msgspec.Struct, frozen=True):
    pagination: Pagination = Pagination()


class Document(msgspec.Struct):
    """``data`` is one record, a list of them, or null."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    meta: Meta = Meta()


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    if seen.key[0] == "name":
        question = {"filter[entity.names]": seen.key[1], "page[size]": str(MAX_RECORDS)}
        answer = await ask(ctx, API, question)
        yield answer
        check_whole(answer)
    if seen.key[0] != "lei":
        return  # it knows no other keys, and the name that it is the same as is asked for by itself
    url = f"{API}/{seen.key[1]}"
    answer = await ask(ctx, url)
    yield answer
    for record in records_of(answer):
        for relationship in ("direct-parent", "ultimate-parent", "direct-children"):
            links = record.relationships.get(relationship)
            links = links.get("links") if isinstance(links, dict) else None
            if isinstance(links, dict) and not {"lei-record", "related"}.isdisjoint(links):
                related = await ask(ctx, f"{url}/{relationship}", {"page[size]": str(MAX_RECORDS)})
                yield related
                check_whole(related)


async def ask(ctx: Context, url: str, question: dict[str, str] | None = None) -> HttpAnswer:
    answer = await ctx.http.get(url, question, headers=ACCEPT)
    refuse_pages(answer)
    return answer


def check_whole(answer: HttpAnswer) -> None:
    """Raise `Truncated` where there are more records than were asked for."""
    if answer.status == 200 and (total := answer.json(Document).meta.pagination.total) > MAX_RECORDS:
        raise Truncated(f"{total} records, of which {MAX_RECORDS} were asked for")


def records_of(answer: HttpAnswer) -> list[Record]:
    """The records of an answer, be they one or many."""
    data = answer.json(Document).data
    several = bytes(data).lstrip().startswith(b"[")
    return fitting(
        islice(msgspec.json.decode(data, type=list[msgspec.Raw]), MAX_RECORDS) if several else [data], Record
    )


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    kind = urlsplit(answer.url).path.rpartition("/")[2]
    for record in records_of(answer):
        attributes = record.attributes
        organisation = sound(entities.organization, "lei", attributes.lei)
        if organisation is None:
            continue
        if seen.key[0] == "name":
            yield from namesake(attributes, organisation, seen)
            continue
        if kind in {"direct-parent", "ultimate-parent"}:
            yield relations.part_of(seen, organisation)
        elif kind == "direct-children":
            yield relations.part_of(organisation, seen)
        elif organisation.key != seen.key:
            continue
        yield from described_entity(attributes, organisation)


def namesake(attributes: Attributes, organisation: Entity, seen: Entity) -> Iterator[Claim]:
    """The entity, if one of its names is the one that was asked for."""
    entity = attributes.entity
    names = [entity.legalName.name, *(other.name for other in entity.otherNames or ())]
    forms = (sound(entities.organization, "name", name) for name in names)
    if not any(form is not None and form.key[1] == seen.key[1] for form in forms):
        return
    country = entity.legalAddress.country if entity.legalAddress else None
    alike = SAME_NAME_AND_COUNTRY if seen.key[2] and seen.key[2] == country else SAME_NAME
    if seen.key[2] and country and seen.key[2] != country:
        return
    yield from described_entity(attributes, organisation)
    if sound(entities.organization, "name", entity.legalName.name, country or "") != seen:
        yield weighed(relations.same_as(seen, organisation, reason="its name at GLEIF"), alike)


def described_entity(attributes: Attributes, organisation: Entity) -> Iterator[Claim]:
    entity, registration = attributes.entity, attributes.registration or Registration()
    address = entity.legalAddress or Address()
    country = (address.country or "").upper()
    yield organisation
    yield from described(
        organisation,
        legal_name=entity.legalName.name,
        display_name=[entity.legalName.name],
        other_name=[other.name for other in entity.otherNames or ()],
        legal_form=entity.legalForm.id or entity.legalForm.other if entity.legalForm else None,
        jurisdiction=entity.jurisdiction,
        entity_status=entity.status,
        registration_status=registration.status,
        register_number=[number(entity)],
        postal_address=[written(one) for one in (entity.legalAddress, entity.headquartersAddress) if one],
        country=country,
        created_at=instant(entity.creationDate),
        updated_at=instant(registration.lastUpdateDate),
        next_renewal_at=instant(registration.nextRenewalDate),
    )
    place = sound(entities.location, "city", address.city, country) if address.city and country else None
    if place is not None:
        yield place
        yield relations.located_at(organisation, place, basis="registered")
    named = sound(entities.organization, "name", entity.legalName.name, country)
    if named is not None:
        yield weighed(relations.same_as(organisation, named, reason="its legal name"), LEGAL_NAME)
    for code in (attributes.bic or ())[:10]:
        identifier = sound(entities.identifier, "bic", code)
        if identifier is not None:
            yield identifier
            yield relations.controls(organisation, identifier)


def number(entity: LegalEntity) -> str | None:
    """Its number in the national register, behind the code of that register."""
    register = entity.registeredAt.id if entity.registeredAt else None
    return f"{register} {entity.registeredAs}" if register and entity.registeredAs else entity.registeredAs


def written(address: Address) -> str:
    parts = (*address.addressLines[:5], address.postalCode, address.city, address.country)
    return ", ".join(part for part in parts if part)
