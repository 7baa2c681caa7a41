"""What a work item is about."""

from msgspec import Struct

from services.contracts.claims import Entity, Relation


class Names(Struct, frozen=True, tag="names", tag_field="kind"):
    """A set: the host names of a scan known so far at and below ``zone``, sorted, for modules that combine them."""

    zone: str
    names: tuple[str, ...]


class NamesDigest(Struct, frozen=True, tag="digest", tag_field="kind"):
    """A set by its sha256 (hex) and size, where the names themselves would be too many to carry."""

    zone: str
    digest: str
    count: int


Subject = Entity | Relation | Names
CarriedSubject = Entity | Relation | NamesDigest
