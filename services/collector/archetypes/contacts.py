"""Who a register names as responsible: organisations, people, mailboxes and phones, unless they are hidden."""

import re
from collections.abc import Iterator

from msgspec import Struct

from services.collector.archetypes.names import weighed
from services.collector.archetypes.sound import described, sound
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MAX_ADDRESSES = 10  # of each kind, of one contact
BY_NAME = 80  # organisations of one name in one register are seldom two

ROLES = {
    "registrant": "registrant",
    "holder": "registrant",
    "owner": "registrant",
    "admin": "administrative",
    "administrative": "administrative",
    "tech": "technical",
    "technical": "technical",
    "noc": "technical",
    "billing": "billing",
    "abuse": "abuse",
    "registrar": "registrar",
    "reseller": "reseller",
    "sponsor": "sponsor",
    "routing": "routing",
}

_hidden = re.compile(
    r"redacted|withheld|not disclosed|undisclosed"
    r"|for privacy|privacy (?:inc|service|protect|guard|hero|ltd|llc|ehf|customer)"
    r"|data protected|domains by proxy|proxy,? (?:llc|protection)|whois ?(?:guard|privacy|protect|agent|proxy)"
    r"|identity (?:protect|shield)|contact privacy|statutory masking|registration private|private (?:person|registra)"
    r"|not shown|gdpr|hidden|masked|anonymi[sz]ed|perfect privacy|super privacy|privacyguardian|domain ?protection",
    re.IGNORECASE,
)
_word = re.compile(r"[a-z][a-z0-9 _-]{1,30}").fullmatch
_department = re.compile(
    r"\b(?:abuse|account|admin\w*|billing|contact|corp\w*|department|dept|dns|domains?|group|host\w*|inc|it|legal|limited"
    r"|llc|ltd|manage\w*|master|network|noc|office|operations|registr\w*|role|security|services?|support|team|tech\w*)\b",
    re.IGNORECASE,
)


class Contact(Struct, frozen=True, kw_only=True):
    """A contact as a register has it.

    ``kind`` is individual, org or group, empty where a name beside an organisation is a person's, and ``unstated``
    where a name may be anybody's.
    """

    role: str
    handle: str = ""
    kind: str = ""
    name: str = ""
    organisation: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    address: str = ""
    city: str = ""
    country: str = ""

    @property
    def hidden(self) -> bool:
        """Whether a privacy service or a policy stands in the contact's place."""
        return bool(_hidden.search(self.organisation or self.name))

    @property
    def company(self) -> str:
        """The name of the organisation, where it is one or belongs to one."""
        return self.organisation or (self.name if self.kind == "org" else "")


def visible(text: str) -> str:
    """The text, unless it only says that it is hidden."""
    return "" if _hidden.search(text) else text.strip()


def role_of(text: str) -> str:
    """A register's word for a role in ours; other words stay as they are, and what is no word is ``other``."""
    plain = text.strip().lower()
    return ROLES.get(plain) or (plain.replace(" ", "_") if _word(plain) else "other")


def organisation_of(contact: Contact) -> Entity | None:
    """The organisation of a contact by its name, None when it has none or hides."""
    if contact.hidden or not contact.company:
        return None
    country = contact.country if len(contact.country) == 2 else ""
    return sound(entities.organization, "name", contact.company, country)


def contacted(contact: Contact, registration: Entity, register: str) -> Iterator[Claim]:
    """What a contact of a registration says: who, how to be reached, where."""
    if contact.hidden:
        return
    organisation = organisation_of(contact)
    if organisation is not None:
        yield from _organisation(contact, organisation)
        yield relations.has_contact(registration, organisation, role=contact.role)
    person = _person(contact, registration, register)
    if person is not None:
        yield person
        yield from described(person, display_name=[contact.name])
        yield relations.has_contact(registration, person, role=contact.role)
        if organisation is not None:
            yield relations.member_of(person, organisation)
    yield from _ways(contact, registration)


def _organisation(contact: Contact, organisation: Entity) -> Iterator[Claim]:
    yield organisation
    yield from described(
        organisation,
        display_name=[contact.company],
        country=organisation.key[2] or None,
        postal_address=[contact.address],
        website=contact.urls[:MAX_ADDRESSES],
    )
    country = organisation.key[2]
    place = sound(entities.location, "city", contact.city, country) if contact.city and country else None
    if place is not None:
        yield place
        yield relations.located_at(organisation, place, basis="registered")


def _person(contact: Contact, registration: Entity, register: str) -> Entity | None:
    """The human being of a contact; a department, or a name that is the organisation's, is none."""
    if contact.name in {"", contact.organisation, contact.handle} or contact.kind not in {"individual", ""}:
        return None
    if " " not in contact.name or (contact.kind != "individual" and _department.search(contact.name)):
        return None
    return sound(entities.person, register, contact.handle or f"{registration.key[-1]} {contact.role}")


def _ways(contact: Contact, registration: Entity) -> Iterator[Claim]:
    for text in contact.emails[:MAX_ADDRESSES]:
        address = None if _hidden.search(text) else sound(entities.email_address, text)
        if address is not None:
            yield address
            yield relations.has_contact(registration, address, role=contact.role)
    for text in contact.phones[:MAX_ADDRESSES]:
        number = sound(entities.phone_number, re.split(r"[;xX]", text[:100], maxsplit=1)[0])
        if number is not None:
            yield number
            yield relations.has_contact(registration, number, role=contact.role)


def operator(about: Entity, contacts: list[Contact]) -> Iterator[Claim]:
    """Who holds a name, network or system, where a registrant is named."""
    for contact in contacts:
        organisation = organisation_of(contact) if contact.role == "registrant" else None
        if organisation is not None:
            yield weighed(relations.operated_by(about, organisation, role="registrant"), BY_NAME)
