"""GLEIF's records of legal entities and who owns whom (https://www.gleif.org/en/lei-data/gleif-api)."""

from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.world import LegalEntity, World

BASE = "https://api.gleif.org/api/v1/lei-records"
TYPE = "application/vnd.api+json"
STAMP = "%Y-%m-%dT%H:%M:%SZ"


def answer(world: World, request: Request) -> Response | None:
    if not request.path.startswith("/api/v1/lei-records"):
        return None
    lei, _, relationship = request.path.removeprefix("/api/v1/lei-records").strip("/").partition("/")
    by_lei = {entity.lei: entity for entity in world.legal_entities}
    if not lei:
        wanted = (request.parameter("filter[entity.names]") or request.parameter("filter[entity.legalName]")).lower()
        return listing(world, [entity for entity in world.legal_entities if wanted and named(entity, wanted)])
    entity = by_lei.get(lei)
    parent = by_lei.get(entity.parent or "") if entity else None
    if relationship == "direct-children" and entity:
        return listing(world, [child for child in world.legal_entities if child.parent == lei])
    found = {"": entity, "direct-parent": parent, "ultimate-parent": parent}.get(relationship)
    if found is None:
        error = {"status": "404", "title": "Not Found", "detail": "Resource not found."}
        return json({"errors": [error]}, status=404, media_type=TYPE)
    return json({"meta": meta(world), "data": record(world, found)}, media_type=TYPE)


def named(entity: LegalEntity, wanted: str) -> bool:
    """Whether every word that was asked for is in one of the names."""
    return any(set(wanted.split()) <= set(name.lower().split()) for name in (entity.legal_name, *entity.other_names))


def meta(world: World) -> dict[str, Any]:
    return {"goldenCopy": {"publishDate": world.now.strftime(STAMP)}}


def listing(world: World, entities: list[LegalEntity]) -> Response:
    pages = {"currentPage": 1, "perPage": 50, "from": 1, "to": len(entities), "total": len(entities), "lastPage": 1}
    return json(
        {
            "meta": {**meta(world), "pagination": pages},
            "links": {"first": BASE, "last": BASE},
            "data": [record(world, entity) for entity in entities],
        },
        media_type=TYPE,
    )


def record(world: World, entity: LegalEntity) -> dict[str, Any]:
    address = {
        "language": "en",
        "addressLines": [entity.street],
        "addressNumber": None,
        "addressNumberWithinBuilding": None,
        "mailRouting": None,
        "city": entity.city,
        "region": None,
        "country": entity.country,
        "postalCode": entity.postcode,
    }
    register = {"id": entity.register, "other": None}
    return {
        "type": "lei-records",
        "id": entity.lei,
        "attributes": {
            "lei": entity.lei,
            "entity": {
                "legalName": {"name": entity.legal_name, "language": "en"},
                "otherNames": [
                    {"name": name, "language": "en", "type": "TRADING_OR_OPERATING_NAME"} for name in entity.other_names
                ],
                "transliteratedOtherNames": [],
                "legalAddress": address,
                "headquartersAddress": address,
                "registeredAt": register,
                "registeredAs": entity.register_number,
                "jurisdiction": entity.jurisdiction,
                "category": "GENERAL",
                "legalForm": {"id": entity.legal_form, "other": None},
                "associatedEntity": {"lei": None, "name": None},
                "status": entity.status,
                "expiration": {"date": None, "reason": None},
                "successorEntity": {"lei": None, "name": None},
                "successorEntities": [],
                "creationDate": entity.founded.strftime(STAMP),
                "subCategory": None,
                "otherAddresses": [],
                "eventGroups": [],
            },
            "registration": {
                "initialRegistrationDate": entity.registered.strftime(STAMP),
                "lastUpdateDate": entity.updated.strftime(STAMP),
                "status": "ISSUED",
                "nextRenewalDate": entity.renewal.strftime(STAMP),
                "managingLou": entity.managing_lou,
                "corroborationLevel": "FULLY_CORROBORATED",
                "validatedAt": register,
                "validatedAs": entity.register_number,
                "otherValidationAuthorities": [],
            },
            "bic": None,
            "mic": None,
            "ocid": f"{entity.country.lower()}/{entity.register_number}",
            "spglobal": [],
            "qcc": None,
            "conformityFlag": "CONFORMING",
        },
        "relationships": relationships(world, entity),
        "links": {"self": f"{BASE}/{entity.lei}"},
    }


def relationships(world: World, entity: LegalEntity) -> dict[str, Any]:
    own = f"{BASE}/{entity.lei}"
    made: dict[str, Any] = {"managing-lou": {"links": {"related": f"{own}/managing-lou"}}}
    for kind in ("direct-parent", "ultimate-parent"):
        known = {"relationship-record": f"{own}/{kind}-relationship", "lei-record": f"{own}/{kind}"}
        made[kind] = {"links": known if entity.parent else {"reporting-exception": f"{own}/{kind}-reporting-exception"}}
    if any(child.parent == entity.lei for child in world.legal_entities):
        records = f"{own}/direct-child-relationships"
        made["direct-children"] = {"links": {"relationship-records": records, "related": f"{own}/direct-children"}}
    return made


PROVIDER = Provider(id="gleif", hosts=("api.gleif.org",), answer=answer)
