"""WHOIS answers about domains: free text, of which only fields that are well known are read.

Most registries write ``Key: value`` as ICANN prescribes for gTLDs
(https://www.icann.org/resources/pages/registration-data-directory-services-2017-01-31-en); others write RPSL-like
lower-case keys, keys in brackets, or a heading with indented lines below it.
"""

import re
from itertools import islice

from services.collector.archetypes.contacts import Contact, visible
from services.collector.archetypes.registrations import Registered
from services.collector.archetypes.times import instant

MAX_LINES = 5_000
MAX_VALUE = 500
MAX_VALUES = 50

Fields = dict[str, list[str]]

DATES = ("%d-%b-%Y", "%d-%b-%Y %H:%M:%S %Z", "%Y.%m.%d", "%Y/%m/%d", "%Y/%m/%d (JST)", "%d.%m.%Y", "%Y.%m.%d %H:%M:%S")
CREATED = ("creation date", "created", "created on", "registered on", "registered", "registration time")
UPDATED = ("updated date", "last updated", "last updated on", "last-update", "last modified", "changed", "modified")
EXPIRES = (
    *("registry expiry date", "registrar registration expiration date", "expiry date", "expiration date"),
    *("expires", "expires on", "paid-till", "expire date", "renewal date"),
)
HANDLE = ("registry domain id", "domain id", "roid")
REGISTRAR = ("registrar", "sponsoring registrar", "registrar name")
STATUS = ("domain status", "status", "state", "registration status")
NAMESERVER = ("name server", "nserver", "nameserver", "name servers", "nameservers")
REFERRAL = ("registrar whois server", "whois server", "whois", "refer")
NAME = ("domain name", "domain")

_bracketed = re.compile(r"(?:[a-z]\. )?\[([^\]]{1,40})\][ \t]*(.*)")
_nothing = re.compile(
    r"no match|not found|no entries found|no data found|no object found|not registered|not been registered"
    r"|status: *free|status: *available|is available for|nothing found|no information|does not exist|no such domain",
    re.IGNORECASE,
)
_limit = re.compile(
    r"limit (?:exceeded|reached)|exceeded (?:the|your)|quota|too many|try again later|rate.?limit|excessive",
    re.IGNORECASE,
)
_denied = re.compile(
    r"access denied|blocked|blacklist|not authori[sz]ed|permission denied|prohibited ip", re.IGNORECASE
)


def fields(text: str) -> Fields:
    """The values of each key, in their order; keys are lower case."""
    found: Fields = {}
    heading = ""
    for line in islice(text.splitlines(), MAX_LINES):
        plain = line[:MAX_VALUE].strip()
        if not plain:
            heading = ""
            continue
        if plain[0] in "%#;>*-":
            continue
        bracketed = _bracketed.fullmatch(plain)
        key, colon, value = (bracketed[1], ":", bracketed[2]) if bracketed else plain.partition(":")
        key, value = key.strip(" .").lower(), value.strip()
        if colon and len(key) <= 40 and "//" not in key and not value.startswith("//"):
            heading = "" if value else key
            if value:
                _add(found, key, value)
        elif heading:
            _add(found, heading, plain)
    return found


def _add(found: Fields, key: str, value: str) -> None:
    values = found.setdefault(key, [])
    if len(values) < MAX_VALUES:
        values.append(value)


def first(found: Fields, keys: tuple[str, ...]) -> str:
    return next((found[key][0] for key in keys if key in found), "")


def every(found: Fields, keys: tuple[str, ...]) -> list[str]:
    return [value for key in keys for value in found.get(key, ())]


def has_facts(found: Fields) -> bool:
    """Whether the text says anything of a registration."""
    return any(key in found for keys in (CREATED, EXPIRES, HANDLE, NAMESERVER, ("registrar iana id",)) for key in keys)


def is_nothing(text: str) -> bool:
    """Whether a text without facts says that there is no such domain."""
    return bool(_nothing.search(text[:5_000]))


def is_limit(text: str) -> bool:
    return bool(_limit.search(text[:5_000]))


def is_denied(text: str) -> bool:
    return bool(_denied.search(text[:5_000]))


def registration_of(found: Fields) -> Registered:
    """The facts of a registration."""
    return Registered(
        handle=first(found, HANDLE),
        created=_date(first(found, CREATED)),
        updated=_date(first(found, UPDATED)),
        expires=_date(first(found, EXPIRES)),
        status=tuple(every(found, STATUS)),
        registrar=first(found, REGISTRAR).partition(" [Tag")[0],
        registrar_id=first(found, ("registrar iana id",)),
        registrar_urls=tuple(every(found, ("registrar url", "referral url", "url"))[:3]),
        reseller=first(found, ("reseller",)),
        nameservers=tuple(value.split()[0] for value in every(found, NAMESERVER)),
        signed=_signed(first(found, ("dnssec", "signing key", "dnssec status"))),
        whois_server=first(found, ("registrar whois server", "whois server")),
        contacts=tuple(_contacts(found)),
    )


def _contacts(found: Fields) -> list[Contact]:
    contacts = [
        contact
        for prefix, role in (
            ("registrant", "registrant"),
            ("admin", "administrative"),
            ("administrative contact", "administrative"),
            ("tech", "technical"),
            ("technical contact", "technical"),
            ("billing", "billing"),
        )
        if (contact := _contact(found, prefix, role)) is not None
    ]
    email, phone = (found.get(f"registrar abuse contact {way}", []) for way in ("email", "phone"))
    if email or phone:
        contacts.append(Contact(role="abuse", emails=tuple(email), phones=tuple(phone)))
    return contacts


def _contact(found: Fields, prefix: str, role: str) -> Contact | None:
    """What stands under ``Registrant Name``, ``Registrant Email`` … or under ``Registrant`` alone."""

    def one(*names: str) -> str:
        return first(found, tuple(f"{prefix} {name}" for name in names))

    organisation = one("organization", "organisation")
    name = one("name") or (first(found, (prefix,)) if prefix == "registrant" and not organisation else "")
    emails = tuple(every(found, (f"{prefix} email", f"{prefix} e-mail")))
    phones = tuple(every(found, (f"{prefix} phone",)))
    if not (organisation or name or emails or phones):
        return None
    street = every(found, (f"{prefix} street", f"{prefix} address"))
    place = [*street, one("city"), one("state/province"), one("postal code"), one("country")]
    return Contact(
        role=role,
        handle=first(found, (f"registry {prefix} id",)),
        name=name,
        organisation=organisation,
        emails=emails,
        phones=phones,
        kind="" if one("name") else "unstated",
        address=", ".join(filter(None, map(visible, place)))[:MAX_VALUE],
        city=visible(one("city")),
        country=one("country", "country code").upper(),
    )


def _date(text: str) -> int | None:
    plain = text.removesuffix(" UTC").removesuffix(" GMT").strip()
    return instant(plain, *DATES) or instant(plain[:10])


def _signed(text: str) -> bool | None:
    plain = text.lower()
    if plain.startswith(("unsigned", "no", "inactive", "not signed")):
        return False
    return True if plain.startswith(("signed", "yes", "active", "actif")) else None
