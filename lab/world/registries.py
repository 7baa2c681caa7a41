"""What registries know: registrations, networks, routing and legal entities."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

Owner = Literal["target", "affiliate", "stranger", "provider"]


class Contact(Struct, frozen=True, kw_only=True):
    """Somebody in a registry: `country` is ISO 3166 alpha-2, `phone` E.164."""

    handle: str
    name: str
    organisation: str
    email: str
    phone: str
    street: str
    city: str
    postcode: str
    country: str


class Registration(Struct, frozen=True, kw_only=True):
    """A domain in its registry; `status` are EPP codes."""

    domain: str
    handle: str
    registrar: str
    registrar_iana_id: int
    registrar_url: str
    registrar_whois: str
    abuse_email: str
    abuse_phone: str
    created: datetime
    changed: datetime
    expires: datetime
    status: tuple[str, ...]
    nameservers: tuple[str, ...]
    signed: bool
    registrant: Contact
    administrative: Contact
    technical: Contact


class Netblock(Struct, frozen=True, kw_only=True):
    """An assigned network and who announces it."""

    network: str
    handle: str
    name: str
    status: str
    country: str
    registry: str
    registered: datetime
    changed: datetime
    asn: int
    owner: Owner
    holder: Contact
    abuse: Contact


class Facility(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    city: str
    country: str


class Exchange(Struct, frozen=True, kw_only=True):
    """A presence at an internet exchange; `speed` in Mbit/s."""

    id: int
    name: str
    city: str
    country: str
    ipv4: str
    ipv6: str
    speed: int


class AutonomousSystem(Struct, frozen=True, kw_only=True):
    number: int
    name: str
    handle: str
    description: str
    country: str
    registry: str
    registered: datetime
    changed: datetime
    owner: Owner
    holder: Contact
    abuse: Contact
    website: str
    looking_glass: str
    as_set: str
    network_type: str
    policy: str
    peeringdb_id: int | None
    prefixes: tuple[str, ...]
    upstreams: tuple[int, ...]
    peers: tuple[int, ...]
    exchanges: tuple[Exchange, ...]
    facilities: tuple[Facility, ...]


class LegalEntity(Struct, frozen=True, kw_only=True):
    """A legal entity as GLEIF knows it; `register` is a registration authority code, `parent` a LEI."""

    lei: str
    legal_name: str
    other_names: tuple[str, ...]
    street: str
    city: str
    postcode: str
    country: str
    jurisdiction: str
    legal_form: str
    register: str
    register_number: str
    status: str
    founded: datetime
    registered: datetime
    updated: datetime
    renewal: datetime
    managing_lou: str
    parent: str | None
