"""What the vocabulary says of one attribute."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from services.contracts.entities import ENTITY_TYPES

ValueType: TypeAlias = type[str] | type[int] | type[float] | type[bool]

ANY = frozenset(ENTITY_TYPES)
NAMES = "hostname domain"
WEB = "url hostname domain"
NETWORK = "ip_address netblock asn"
PEOPLE = "account person organization email_address username"


class AttributeType(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute: ``many`` when values stand beside each other, else the newest counts.

    ``unit`` is of numbers: ``us`` is UTC microseconds since 1970, ``%`` a share, ``B`` bytes. ``about`` are the entity
    types it is for. ``stix`` is the property of the STIX object (``x_mirage_…`` where it has none), ``spiderfoot`` the
    event type in its place.
    """

    name: str
    doc: str
    about: frozenset[str]
    value: ValueType
    unit: str
    many: bool
    stix: str
    spiderfoot: str


def row(
    name: str,
    about: str | Iterable[str],
    doc: str,
    value: ValueType = str,
    unit: str = "",
    *,
    many: bool = False,
    stix: str = "",
    spiderfoot: str = "",
) -> AttributeType:
    """One row; ``about`` may be types with spaces between, ``stix`` is ``x_mirage_<name>`` when left out."""
    types = frozenset(about.split() if isinstance(about, str) else about)
    assert types <= ANY, types - ANY
    return AttributeType(
        name=name,
        doc=doc,
        about=types,
        value=value,
        unit=unit,
        many=many,
        stix=stix or f"x_mirage_{name}",
        spiderfoot=spiderfoot,
    )
