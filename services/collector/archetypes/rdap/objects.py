"""The objects of RDAP (RFC 9083) and the contacts inside them (jCard, RFC 7095; redacted fields, RFC 9537)."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from services.collector.archetypes.contacts import Contact, role_of, visible
from services.collector.archetypes.documents import fitting
from services.collector.archetypes.times import instant
from services.collector.context import HttpAnswer, ParseError

MAX_ENTITIES = 40
MAX_DEPTH = 3
MAX_REMARKS = 10
NULL = msgspec.Raw(b"null")


class Event(Struct):
    eventAction: str  # noqa: N815 - the names of the RFC
    eventDate: str | None = None  # noqa: N815


class Link(Struct):
    href: str
    rel: str = ""
    type: str = ""


class PublicId(Struct):
    type: str
    identifier: str


class Remark(Struct):
    title: str | None = None
    description: list[str] | None = None


class NameServer(Struct):
    ldhName: str  # noqa: N815


class SecureDns(Struct):
    delegationSigned: bool | None = None  # noqa: N815


class Prefix(Struct):
    length: int
    v4prefix: str | None = None
    v6prefix: str | None = None


class Object(Struct):
    """Any object; lists are decoded element by element, so that a bad one is alone in being lost."""

    objectClassName: str = ""  # noqa: N815
    handle: str | None = None
    ldhName: str | None = None  # noqa: N815
    name: str | None = None
    type: str | None = None
    country: str | None = None
    startAddress: str | None = None  # noqa: N815
    endAddress: str | None = None  # noqa: N815
    startAutnum: int | None = None  # noqa: N815
    endAutnum: int | None = None  # noqa: N815
    parentHandle: str | None = None  # noqa: N815
    port43: str | None = None
    errorCode: int | None = None  # noqa: N815
    secureDNS: msgspec.Raw = NULL  # noqa: N815
    status: list[msgspec.Raw] | None = None
    events: list[msgspec.Raw] | None = None
    links: list[msgspec.Raw] | None = None
    entities: list[msgspec.Raw] | None = None
    nameservers: list[msgspec.Raw] | None = None
    remarks: list[msgspec.Raw] | None = None
    cidr0_cidrs: list[msgspec.Raw] | None = None
    arin_originas0_originautnums: list[msgspec.Raw] | None = None

    def happened(self, *actions: str) -> int | None:
        """When the last event of one of ``actions`` was."""
        found = [
            instant(event.eventDate) for event in fitting(self.events or (), Event) if event.eventAction in actions
        ]
        return max((at for at in found if at is not None), default=None)

    def state(self) -> tuple[str, ...]:
        return tuple(fitting(self.status or (), str))

    def references(self) -> tuple[str, ...]:
        return tuple(link.href for link in fitting(self.links or (), Link) if link.rel == "self")

    def related(self) -> Iterator[tuple[str, str, str]]:
        """Its links as (relation, media type, address)."""
        for link in fitting(self.links or (), Link):
            yield link.rel, link.type, link.href

    def notes(self) -> list[str]:
        """Its remarks, a line each."""
        remarks = fitting((self.remarks or ())[:MAX_REMARKS], Remark)
        return [line for remark in remarks for line in (remark.description or ())[:MAX_REMARKS]]

    def signed(self) -> bool | None:
        found = fitting([self.secureDNS], SecureDns)
        return found[0].delegationSigned if found else None


class Party(Struct):
    """An entity of RDAP: a contact with roles, and perhaps contacts of its own."""

    handle: str | None = None
    roles: list[str] = []
    vcardArray: msgspec.Raw = NULL  # noqa: N815
    publicIds: list[msgspec.Raw] | None = None  # noqa: N815
    links: list[msgspec.Raw] | None = None
    entities: list[msgspec.Raw] | None = None

    def public_id(self, kind: str) -> str:
        ids = fitting(self.publicIds or (), PublicId)
        return next((one.identifier for one in ids if one.type == kind), "")


def read_object(answer: HttpAnswer, kind: str) -> Object | None:
    """The object of an answer, None where the server knows none.

    Raises:
        ParseError: it is not JSON, or an object of another class.
    """
    found: Object = answer.json(Object)
    if answer.status == 404 or found.errorCode == 404:
        return None
    if found.objectClassName != kind:
        raise ParseError(f"{answer.url}: a {found.objectClassName[:40]!r} in place of a {kind}")
    return found


def parties(raw: list[msgspec.Raw] | None, depth: int = 0) -> Iterator[Party]:
    """The entities of an object and those inside them."""
    for party in fitting((raw or ())[:MAX_ENTITIES], Party):
        yield party
        if depth < MAX_DEPTH:
            yield from parties(party.entities, depth + 1)


def contacts_of(party: Party) -> Iterator[Contact]:
    """A contact for each role of an entity."""
    card = _properties(party.vcardArray)
    street, city, country = _address(card)
    for role in list(dict.fromkeys(party.roles))[:10]:
        yield Contact(
            role=role_of(role),
            handle=party.handle or "",
            kind=_first(card, "kind").lower(),
            name=_first(card, "fn"),
            organisation=_first(card, "org"),
            emails=tuple(_texts(card, "email")),
            phones=tuple(_texts(card, "tel")),
            urls=tuple(_texts(card, "url")),
            address=visible(street),
            city=visible(city),
            country=country,
        )


Property = tuple[dict[str, Any], list[Any]]


def _properties(raw: msgspec.Raw) -> dict[str, list[Property]]:
    """The properties of a jCard by name, each as its parameters and values."""
    found: dict[str, list[Property]] = {}
    try:
        card = msgspec.json.decode(raw, type=list[Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return found
    properties = card[1] if len(card) > 1 and isinstance(card[1], list) else []
    for one in properties[:200]:
        if isinstance(one, list) and len(one) >= 4 and isinstance(one[0], str):
            parameters = one[1] if isinstance(one[1], dict) else {}
            found.setdefault(one[0].lower(), []).append((parameters, one[3:]))
    return found


def _texts(card: dict[str, list[Property]], name: str) -> Iterator[str]:
    for _, values in card.get(name, ()):
        for value in values[:10]:
            text = next((part for part in value if isinstance(part, str)), "") if isinstance(value, list) else value
            if isinstance(text, str) and text.strip():
                yield text.strip()


def _first(card: dict[str, list[Property]], name: str) -> str:
    return next(_texts(card, name), "")


def _address(card: dict[str, list[Property]]) -> tuple[str, str, str]:
    """The postal address on one line, its city, and its country's code where the card has one (RFC 8605)."""
    for parameters, values in card.get("adr", ())[:1]:
        parts = values[0] if values and isinstance(values[0], list) else []
        plain = [_joined(part) for part in parts[:7]] + [""] * (7 - len(parts))
        label = parameters.get("label")
        whole = label if isinstance(label, str) else ", ".join(part for part in plain if part)
        code = parameters.get("cc")
        country = code if isinstance(code, str) and code else plain[6]
        return " ".join(whole.replace("\n", ", ").split())[:500], plain[3], country.upper()
    return "", "", ""


def _joined(part: Any) -> str:
    if isinstance(part, list):
        return ", ".join(text.strip() for text in part[:10] if isinstance(text, str))
    return part.strip() if isinstance(part, str) else ""
