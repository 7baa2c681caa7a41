"""Worlds of organisations, people, accounts and domains that share things, and statements about them."""

from random import Random
from typing import Final

from services.contracts import entities, relations
from services.contracts.claims import Entity, Relation, Value
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidBy, SaidValue

AT: Final = 1_790_000_000_000_000


def said(confidence: int = 100, module: str = "rdap_domain") -> tuple[SaidBy, ...]:
    return (SaidBy(module, 1, AT, confidence, bytes(16), (bytes(32),)),)


def facts(entity: Entity, **attributes: Value | list[Value]) -> EntityFacts:
    """An entity with attributes, as one source says them."""
    values = [
        SaidValue(name, value, said())
        for name, each in attributes.items()
        for value in (each if isinstance(each, list) else [each])
    ]
    return EntityFacts(
        entity=entity, role="in_scope", distance=0, first_seen=AT, last_seen=AT, said=said(), attributes=tuple(values)
    )


def related(relation: Relation, confidence: int = 100) -> RelationFacts:
    return RelationFacts(
        type=relation.type, source=relation.source, target=relation.target, qualifiers=relation.qualifiers,
        details=relation.details, said=said(confidence),
    )  # fmt: skip


NAMES: Final = ("Acme GmbH", "ACME Holding", "Acme Ltd.", "Globex Corporation", "Globex Corp", "Initech", "Initec Inc.")
PEOPLE: Final = ("Jo Doe", "Doe, Jo", "Dr. Jo Doe", "Mo Roe", "Мо Роу")
KEYS: Final = tuple(entities.crypto_key("pgp", f"{number:040x}") for number in range(3))
MAILS: Final = tuple(entities.email_address(f"m{number}@example.net") for number in range(3))
TRACKERS: Final = tuple(entities.web_tracker("google_analytics", f"UA-{number}1111-1") for number in range(2))
CERTIFICATES: Final = tuple(entities.certificate(f"{number:064x}") for number in range(2))
DOMAINS: Final = tuple(entities.domain(f"site{number}.example") for number in range(6))
REGISTRATIONS: Final = tuple(entities.registration("verisign", f"R{number}") for number in range(6))
ORGANIZATIONS: Final = (
    *(entities.organization("name", name, country) for name in NAMES for country in ("", "DE", "FR")),
    *(entities.organization("peeringdb", str(number)) for number in range(3)),
)
PERSONS: Final = tuple(entities.person("openpgp", f"P{number}") for number in range(6))
ACCOUNTS: Final = tuple(
    entities.account(platform, handle)
    for platform in ("github", "gravatar", "twitter")
    for handle in ("jodoe", "moroe")
)


def any_facts(random: Random) -> EntityFacts:
    """Something that is said of an entity; the same entity may be said to be called otherwise the next time."""
    kind = random.randrange(4)
    if kind == 0:
        return facts(
            random.choice(ORGANIZATIONS),
            legal_name=random.choice(NAMES),
            **random.choice([{}, {"country": "DE"}, {"country": "FR"}, {"website": "https://www.acme-site.org/"}]),
        )
    if kind == 1:
        return facts(random.choice(PERSONS), display_name=random.sample(PEOPLE, random.randrange(3)))
    return facts(random.choice(ACCOUNTS if kind == 2 else DOMAINS))


def any_relation(random: Random) -> RelationFacts:
    """Something that joins entities to what others may be joined to."""
    domain, registration = random.choice(DOMAINS), random.choice(REGISTRATIONS)
    person, organization = random.choice(PERSONS), random.choice(ORGANIZATIONS)
    made = random.choice([
        relations.registered_as(domain, registration),
        relations.has_contact(registration, random.choice(MAILS), role="registrant"),
        relations.controls(person, random.choice(MAILS)),
        relations.controls(person, random.choice(KEYS)),
        relations.has_contact(organization, random.choice(MAILS), role="public"),
        relations.controls(random.choice(MAILS), random.choice(ACCOUNTS)),
        relations.same_as(organization, random.choice(ORGANIZATIONS), reason="its name"),
        relations.uses(entities.url(f"https://www.{domain.value}/"), random.choice(TRACKERS)),
        relations.covers_name(random.choice(CERTIFICATES), entities.hostname(f"www.{domain.value}")),
    ])  # fmt: skip
    return related(made, random.choice((100, 60)))
