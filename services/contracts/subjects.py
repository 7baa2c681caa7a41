"""What a work item is about."""

from msgspec import Struct

from services.contracts.claims import Entity, Relation


class Names(Struct, frozen=True, tag="names", tag_field="kind"):
    """A set: the host names of a scan known so far at and below ``zone``, sorted, for modules that combine them.

    ``fresh`` are those that were not in the set handed out before this one; None for the first.
    """

    zone: str
    names: tuple[str, ...]
    fresh: tuple[str, ...] | None = None


class NamesDigest(Struct, frozen=True, tag="digest", tag_field="kind"):
    """A set by its sha256 (hex) and size, where the names themselves would be too many to carry."""

    zone: str
    digest: str
    count: int


class Level(Struct, frozen=True, tag="level", tag_field="kind"):
    """A level of the DNS: a host name in scope that has host names of the scan below it, or is a target itself.

    Nobody need have claimed that ``zone`` is a host. A domain is a level by itself and is never handed out as one.
    """

    zone: str


Subject = Entity | Relation | Names | Level
CarriedSubject = Entity | Relation | NamesDigest | Level
