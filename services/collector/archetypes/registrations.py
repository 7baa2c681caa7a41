"""What the registry of a domain holds, whether it says so by RDAP or by WHOIS."""

import re
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from services.collector.archetypes.contacts import Contact, contacted, operator
from services.collector.archetypes.names import any_name
from services.collector.archetypes.sound import described, sound
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MAX_NAMESERVERS = 50
MAX_CONTACTS = 40


class Registered(Struct, frozen=True, kw_only=True):
    """A registration of a domain; times are UTC microseconds, ``status`` are EPP codes as written."""

    handle: str = ""
    created: int | None = None
    updated: int | None = None
    expires: int | None = None
    transferred: int | None = None
    status: tuple[str, ...] = ()
    registrar: str = ""
    registrar_id: str = ""
    registrar_urls: tuple[str, ...] = ()
    reseller: str = ""
    nameservers: tuple[str, ...] = ()
    signed: bool | None = None
    whois_server: str = ""
    reference: tuple[str, ...] = ()
    contacts: tuple[Contact, ...] = ()


def registered(domain: Entity, found: Registered) -> Iterator[Claim]:
    """The claims of a registration: its facts, the name servers it names, and its contacts.

    The registry of a domain goes by its top-level domain, and a registration without a handle by the domain.
    """
    registry = domain.key[0].rpartition(".")[2]
    registration = sound(entities.registration, registry, found.handle or domain.key[0])
    if registration is None:
        return
    contacts = list(found.contacts[:MAX_CONTACTS])
    yield registration
    yield relations.registered_as(domain, registration)
    yield from _facts(registration, found, contacts)
    yield from described(
        domain,
        created_at=found.created,
        expires_at=found.expires,
        registrar=found.registrar,
        dnssec_signed=found.signed,
    )
    for server in islice(map(any_name, found.nameservers), MAX_NAMESERVERS):
        if server is not None:
            yield server
            yield relations.uses_nameserver(domain, server)
    yield from _registrar(registration, found)
    for contact in contacts:
        yield from contacted(contact, registration, registry)
    yield from operator(domain, contacts)


def _facts(registration: Entity, found: Registered, contacts: list[Contact]) -> Iterator[Claim]:
    holders = [contact for contact in contacts if contact.role == "registrant"]
    status = [_spaced(text) for text in found.status]
    yield from described(
        registration,
        created_at=found.created,
        updated_at=found.updated,
        expires_at=found.expires,
        transferred_at=found.transferred,
        status=status,
        lock=[text for text in status if "prohibited" in text or "lock" in text],
        registrar=found.registrar,
        registrar_id=found.registrar_id,
        reseller=found.reseller,
        name_server=[name.lower().rstrip(".") for name in found.nameservers],
        dnssec_signed=found.signed,
        whois_server=found.whois_server.lower(),
        registrant=[holder.company or holder.name for holder in holders if not holder.hidden],
        privacy_service=any(holder.hidden for holder in holders) or None,
        country=next((holder.country for holder in holders if len(holder.country) == 2), None),
        reference=found.reference,
    )


def _registrar(registration: Entity, found: Registered) -> Iterator[Claim]:
    registrar = sound(entities.organization, "name", found.registrar) if found.registrar else None
    if registrar is not None:
        yield registrar
        yield from described(registrar, display_name=[found.registrar], website=found.registrar_urls)
        yield relations.has_contact(registration, registrar, role="registrar")


def _spaced(status: str) -> str:
    """EPP codes as RDAP writes them (RFC 8056): ``clientTransferProhibited`` is ``client transfer prohibited``."""
    code = status.split(" http", maxsplit=1)[0].split(" (http", maxsplit=1)[0].strip()
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code[:100]).lower()
