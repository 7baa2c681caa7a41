"""What entities have by which two of them may be known as one: keys, mailboxes, names, trackers, certificates.

A *trait* is (kind, value) of an entity, and rests on one statement: an entity with its attributes, or a relation. Those
who share a trait are a block, and only they are compared. What thousands share says nothing of any two of them: each
kind has a number of holders beyond which a block is a *hub* and passed over, and below it a trait counts for less the
more have it.

Traits are those of organisations, people and accounts; of a domain they are those of the names and pages below it, and
mean that one holds both.
"""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from typing import Final, NamedTuple

from msgspec import Struct

from services.contracts import entities
from services.contracts.claims import Entity, Malformed
from services.contracts.names import registrable
from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.identity.names import name_blocks, plain_name

#: Types of which hypotheses are made.
TYPES: Final = frozenset({"organization", "person", "account", "domain"})
MOST_NAMES: Final = 20
LONGEST_VALUE: Final = 300


class Kind(Struct, frozen=True):
    """How much it says that two share such a trait, from how many holders on it is a hub, and how it reads.

    ``fades``: it says less the more have it. One with no weight is a block that only finds candidates.
    """

    weight: float
    hub: int
    words: str
    fades: bool = True


KINDS: Final[dict[str, Kind]] = {
    "stated": Kind(0.9, 3, "a source says so", fades=False),
    "identifier": Kind(0.95, 10, "both have the identifier"),
    "crypto_key": Kind(0.85, 10, "both hold the key"),
    "holder": Kind(0.8, 20, "both are held by"),
    "account": Kind(0.8, 20, "both hold the account"),
    "wallet": Kind(0.75, 20, "both are paid at"),
    "email": Kind(0.7, 20, "both are reached at"),
    "tenant": Kind(0.7, 20, "both are of the tenant"),
    "registrant": Kind(0.6, 40, "both are registered by"),
    "tracker": Kind(0.6, 30, "both carry the tracker"),
    "certificate": Kind(0.5, 20, "one certificate covers both:"),
    "phone": Kind(0.5, 20, "both are reached at"),
    "website": Kind(0.45, 20, "both name the site"),
    "handle": Kind(0.35, 30, "both are called", fades=False),
    "fingerprint": Kind(0.15, 30, "both look alike to"),
    "block": Kind(0.0, 25, "their names share", fades=False),
}
#: What is no block, but known of an entity when it is compared with another.
ASIDE: Final = frozenset({"name", "country", "register", "platform"})
#: By which a domain has the traits of its registration.
LINK: Final = "registration"

_COMMON_HANDLES: Final = frozenset({
    "admin", "administrator", "api", "contact", "demo", "dev", "developer", "guest", "hello", "help", "info", "mail",
    "marketing", "news", "office", "official", "press", "root", "sales", "security", "service", "support", "team",
    "test", "user", "webmaster",
})  # fmt: skip
_NAMES: Final = frozenset({"legal_name", "display_name", "other_name"})
_COUNTRIES: Final = frozenset({"country", "jurisdiction"})


class Subject(NamedTuple):
    """Something that has traits."""

    id: bytes
    type: str
    value: str


class Trait(NamedTuple):
    """``statement``: the id of the entity or relation that it rests on; ``weight``: of 100, as sure as that is."""

    statement: bytes
    subject: Subject
    kind: str
    value: str
    weight: int = 100

    @property
    def block(self) -> bytes:
        return block_of(self.kind, self.value)


def block_of(kind: str, value: str) -> bytes:
    """12 bytes that those share who have the trait; of a registration, the first of its id, by which a store joins."""
    if kind == LINK:
        return bytes.fromhex(value)[:12]
    return blake2b(f"{kind}\0{value}".encode(errors="surrogatepass"), digest_size=12).digest()


def traits_of_entity(facts: EntityFacts) -> list[Trait]:
    """What an entity has by itself: names, country, the register that knows it; what an account is called."""
    entity = facts.entity
    if entity.type not in TYPES - {"domain"}:
        return []
    identity = entity.id
    subject = _subject(entity)
    return [Trait(identity, subject, kind, value[:LONGEST_VALUE]) for kind, value in dict.fromkeys(_own(facts))]


def traits_of_relation(facts: RelationFacts) -> list[Trait]:
    """What a relation says of its ends, or of the domain of one."""
    sure = max((word.confidence for word in facts.said), default=0)
    if not sure:
        return []
    statement = facts.id
    return [Trait(statement, _subject(who), kind, value[:LONGEST_VALUE], sure) for who, kind, value in _related(facts)]


def _subject(entity: Entity) -> Subject:
    return Subject(entity.id, entity.type, entity.value)


def _own(facts: EntityFacts) -> Iterator[tuple[str, str]]:
    kind, key = facts.entity.type, facts.entity.key
    if kind == "account":
        platform, handle = key
        yield "platform", platform
        folded = handle.casefold().partition("@")[0]  # as where servers of their own have users: jo@mastodon.social
        if len(folded) >= 4 and folded not in _COMMON_HANDLES and not folded.isdecimal():
            yield "handle", folded
        return
    named = [str(each.value) for each in facts.attributes if each.name in _NAMES]
    if kind == "organization" and key[0] == "name":
        named.append(key[1])
    for name in sorted({plain_name(name, kind) for name in named} - {""})[:MOST_NAMES]:
        yield "name", name
        for block in name_blocks(name):
            yield "block", block
    if kind == "organization":
        yield from _registered(facts, key)
    for each in facts.attributes:
        if each.name == "website" and (site := _domain_of_url(str(each.value))) is not None:
            yield "website", site.value


def _registered(facts: EntityFacts, key: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """By which register an organisation is known, and of which countries it is."""
    if key[0] != "name":
        yield "register", f"{key[0]}:{key[1]}"
    elif len(key) > 2 and key[2]:
        yield "country", key[2]
    for each in facts.attributes:
        if each.name in _COUNTRIES:
            yield "country", str(each.value)[:2].upper()


def _related(facts: RelationFacts) -> Iterator[tuple[Entity, str, str]]:
    source, target = facts.source, facts.target
    match facts.type:
        case "same_as" if source.type == target.type and source.type in TYPES and source != target:
            for end in (source, target):
                yield end, "stated", facts.id.hex()
        case "controls" | "has_contact":
            yield from _held(facts.type, facts.qualifiers.get("role", ""), source, target)
        case "uses":
            holder = _domain_of(source)
            kind = {"web_tracker": "tracker", "fingerprint": "fingerprint", "cloud_tenant": "tenant"}.get(target.type)
            if holder is not None and kind is not None:
                yield holder, kind, target.value
            elif target.type == "crypto_key" and source.type in TYPES:
                yield source, "crypto_key", target.value
        case "covers_name":
            holder = _domain_of(target)
            if holder is not None:
                yield holder, "certificate", source.value
        case "registered_as" if source.type == "domain":
            yield source, LINK, target.id.hex()


#: What one holds, and by which kind of trait it is then known.
_HELD: Final[dict[str, str]] = {
    "identifier": "identifier", "crypto_key": "crypto_key", "account": "account", "crypto_address": "wallet",
    "payment_instrument": "wallet", "email_address": "email", "phone_number": "phone", "domain": "website",
    "hostname": "website",
}  # fmt: skip
#: Whose accounts are of one holder; a user name is none, which anybody may choose elsewhere.
_HOLDERS: Final = frozenset({"email_address", "phone_number", "person", "organization"})


def _held(relation: str, role: str, source: Entity, target: Entity) -> Iterator[tuple[Entity, str, str]]:
    if relation == "has_contact" and source.type in {"registration", "domain"}:
        if role == "registrant" and target.type == "email_address":
            yield source, "registrant", target.value
    elif source.type == "cloud_tenant":
        holder = _domain_of(target)
        if holder is not None:
            yield holder, "tenant", source.value
    elif source.type == target.type == "account":
        for end in (source, target):
            yield end, "stated", "".join(sorted((source.id.hex(), target.id.hex())))
    else:
        if target.type == "account" and source.type in _HOLDERS:
            yield target, "holder", source.value
        if source.type in TYPES and target.type in _HELD:
            yield source, _HELD[target.type], target.value


def _domain_of(entity: Entity) -> Entity | None:
    """The registrable domain of a name or page."""
    match entity.type:
        case "domain":
            return entity
        case "hostname":
            return _domain_of_name(entity.key[0])
        case "url":
            return _domain_of_url(entity.key[0])
    return None


def _domain_of_url(text: str) -> Entity | None:
    with suppress(Malformed):
        return _domain_of_name(entities.host_of(entities.url(text).key[0]))
    return None


def _domain_of_name(name: str) -> Entity | None:
    with suppress(Malformed):
        return entities.domain(registrable(name))
    return None
