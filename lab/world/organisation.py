"""The target: its people, accounts, repositories and tenant."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct


class Account(Struct, frozen=True, kw_only=True):
    platform: str
    handle: str
    url: str


class Person(Struct, frozen=True, kw_only=True):
    """Somebody at the organisation. A source knows a person only where the field for it is set."""

    name: str
    title: str
    email: str
    phone: str | None = None
    github: str | None = None
    gravatar: str | None = None
    pgp: str | None = None
    city: str
    country: str
    bio: str
    joined: datetime
    accounts: tuple[Account, ...] = ()


class Repository(Struct, frozen=True, kw_only=True):
    owner: str
    name: str
    description: str
    language: str
    homepage: str
    licence: str
    topics: tuple[str, ...]
    stars: int
    forks: int
    created: datetime
    pushed: datetime


class Tenant(Struct, frozen=True, kw_only=True):
    """A Microsoft Entra tenant; `domains` are its verified names, the `*.onmicrosoft.com` one among them."""

    id: UUID
    brand: str
    region: str
    federation: Literal["Managed", "Federated"]
    domains: tuple[str, ...]


class Organisation(Struct, frozen=True, kw_only=True):
    """The target: `domains` has the primary one first, `netblocks` are CIDRs it holds."""

    name: str
    legal_name: str
    slug: str
    tagline: str
    website: str
    street: str
    city: str
    postcode: str
    country: str
    founded: datetime
    lei: str
    asn: int
    domains: tuple[str, ...]
    netblocks: tuple[str, ...]
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    accounts: tuple[Account, ...]
    github: str
    people: tuple[Person, ...]
    repositories: tuple[Repository, ...]
    tenant: Tenant
    trackers: tuple[tuple[str, str], ...]
    crypto_addresses: tuple[tuple[str, str], ...]
