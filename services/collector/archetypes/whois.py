"""WHOIS answers about domains: free text, of which only fields that are well known are read.

Most registries write ``Key: value`` as ICANN prescribes for gTLDs
(https://www.icann.org/resources/pages/registration-data-directory-services-2017-01-31-en); others write RPSL-like
lower-case keys, keys in brackets, columns or leaders of dots, or a heading with lines below it. What stands under the
heading of a contact or of the registrar is a field of that one: ``registrar: dnssec`` is none of the domain's.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from services.collector.archetypes.contacts import Contact, visible
from services.collector.archetypes.registrations import Registered
from services.collector.archetypes.times import instant
from services.collector.context import Blocked, RateLimited, SourceError, Unreachable

MAX_LINES = 5_000
MAX_VALUE = 500
MAX_VALUES = 50
MAX_KEY = 40
MAX_SAID = 10_000  # characters of an answer that are looked through for what it says beside fields

Fields = dict[str, list[str]]

DATES = (
    *("%d-%b-%Y", "%d-%b-%Y %H:%M:%S %Z", "%Y-%b-%d", "%d-%m-%Y", "%Y%m%d %H:%M:%S"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M:%S", "%Y.%m.%d", "%Y.%m.%d %H:%M:%S", "%Y. %m. %d"),
    *("%Y/%m/%d", "%Y/%m/%d (JST)", "%a %b %d %Y", "%a %b %d %H:%M:%S %Y", "%b %d %Y", "%B %d %Y"),
)
CREATED = (
    *("creation date", "created", "created on", "created date", "date created", "record created", "record created on"),
    *("registered on", "registered", "registered date", "date registered", "registration time", "registration date"),
    *("activation", "activated", "acivated", "domain created", "domain_dateregistered", "domain registered"),
    *("domain name commencement date", "date de creation", "fecha de creacion"),
)
UPDATED = (
    *("updated date", "last updated", "last updated on", "last updated date", "last update", "last-update"),
    *("last modified", "changed", "modified", "updated", "modification date", "record last updated"),
    *("record last updated on", "record last modified", "record changed on", "domain_datelastmodified"),
    "ultima actualizacion",
)
EXPIRES = (
    *("registry expiry date", "registrar registration expiration date", "expiry date", "expiration date"),
    *("expiration time", "expires", "expires on", "expires at", "expire", "expire date", "paid-till", "valid-date"),
    *("renewal date", "record expired", "record expires on", "domain_datebilleduntil", "fecha de vencimiento"),
)
PRESCRIBED = ("creation date", "updated date", "registry expiry date", "registrar registration expiration date")
HANDLE = ("registry domain id", "domain id", "roid")
REGISTRAR = (
    *("registrar", "sponsoring registrar", "registrar name", "registrar_name", "authorized agency"),
    *("current registar", "registration service provider", "registrar: organization", "registrar: name"),
)
REGISTRAR_URL = ("registrar url", "referral url", "url", "registrar: url", "registrar: website", "registrar: web")
STATUS = ("domain status", "domain-status", "status", "state", "registration status")
NAMESERVER = (
    *("name server", "nserver", "nameserver", "name servers", "nameservers", "domain nameservers", "dns servers"),
    *("domain servers", "domain servers in listed order", "name servers in the listed order", "hostname", "host name"),
    *("dns_name", "ns_name", "primary server", "secondary server", "name server information"),
    *("servidores de nombre (domain servers)", "servidor(es) de nombres de dominio"),
)
SIGNED = ("dnssec", "signing key", "dnssec status", "signed", "domain_signed")
REFERRAL = ("registrar whois server", "whois server", "whois", "refer")
NAME = ("domain name", "domain", "domain_name", "domain-name", "nom de domaine", "nombre de dominio")

#: Headings of what is not the domain itself, by whom they are about.
SECTIONS = {
    **dict.fromkeys(("registrant", "holder", "owner", "organization using domain name"), "registrant"),
    **dict.fromkeys(
        ("administrator", "admin contact", "administrative contact", "administrative contact/agent"), "admin"
    ),
    **dict.fromkeys(("technical contact", "technical contacts", "technical contact(s)", "tech contact"), "tech"),
    **dict.fromkeys(("billing contact", "billing contacts"), "billing"),
    "registrar": "registrar",
    "registrar technical contacts": "registrar contact",
}
#: What stands below a heading without a colon, where it stands no deeper.
OF_CONTACTS = frozenset(
    {
        *("name", "organization", "organisation", "handle", "registrar", "address", "city", "postalcode", "country"),
        *("phone", "email", "e-mail", "attention", "register number", "www"),
    }
)
#: Headings that some write without a colon.
HEADINGS = frozenset({*SECTIONS, "nameservers", "primary name server", "secondary name server"})

_bracketed = re.compile(r"(?:[a-z]\.? )?\[([^\]]{1,40})\][ \t]*(.*)").fullmatch
_columns = re.compile(r"([A-Za-z]{2,20}[-_][A-Za-z_-]{2,20}) {3,}(\S.*)").fullmatch
_sentence = re.compile(
    r"(record (?:created|expires|changed|last updated) on)[. ]{1,40}([^. ].*)", re.IGNORECASE
).fullmatch
_number = re.compile(r"[ _]?[0-9]{1,2}$")
_handle = re.compile(r"(?=[A-Z-]*[0-9])[A-Z0-9]+(?:-[A-Z]+)?").fullmatch

_nothing = re.compile(
    r"no match|not found|no entries found|no data (?:was )?found|no objects? found|no found|object_not_found"
    r"|no records? (?:found|matching)|no results were found|not registe?red|not been registered|nothing found"
    r"|status:\s*(?:free|available|220 available)|is available for|no information|does not exist|no such domain"
    r"|no existe|we do not have an entry|returned 0 objects|domain name not known|^available$|^\S{1,253} is free$",
    re.IGNORECASE,
).search
# Each stands at the beginning of a line of its own; the same words further on are those of the terms of use.
_limit = re.compile(
    r"(?:\S{1,60}: |error:? )?(?:[0-9]{1,20} )?(?:too many (?:requests|connections|queries)"
    r"|(?:your |the )?[a-z0-9 .;,-]{0,60}\b(?:whois-|whois |query )?limit (?:has been )?(?:exceeded|reached)"
    r"|[a-z]{0,20} ?quota exceeded|you(?:r [a-z0-9 .:]{1,60})? ha(?:ve|s) exceeded"
    r"|(?:the )?whois query quota for \S{1,60} has been exceeded"
    r"|maximum queries per \w{1,10} reached|-?[0-9]{0,3}:? ?still in grace period|please go away for"
    r"|only [0-9]{1,5} requests? per|[a-z0-9 ]{0,40}, (?:please )?try again later|excessive querying, grace period)",
    re.IGNORECASE,
).match
_denied = re.compile(
    r"(?:error:? ?(?:[0-9]{1,20}: ?)?)?(?:-?[0-9]{0,3}:? ?ip address blocked"
    r"|requests of this client are not permitted|(?:query_status: 440 )?request denied"
    r"|(?:your )?access (?:(?:is|has been) )?(?:denied|blocked)"
    r"|your (?:ip|ip address|host|connection)[a-z0-9 .:()]{0,60}(?:blocked|blacklisted|banned)"
    r"|(?:you are )?(?:blocked|blacklisted|not authori[sz]ed)[.!]?$|permission denied|prohibited ip)",
    re.IGNORECASE,
).match
_away = re.compile(r"(?:the )?(?:whois )?(?:service|server) (?:is )?temporarily unavailable", re.IGNORECASE).match
_reduced = re.compile(r"limit exceeded\. reduced information", re.IGNORECASE).search
_server = re.compile(r"[A-Za-z0-9_-]{1,63}\.[A-Za-z0-9_.-]{1,255}(?:\s|$)").match  # its IPv6 address may follow
_registrar = re.compile(r" \[Tag| ?\(https?:")
_seconds = re.compile(r"(?:wait|for|in) ([0-9]{1,7}) seconds", re.IGNORECASE).search


def fields(text: str) -> Fields:
    """The values of each key, in their order; keys are lower case, and those of a section begin with its name."""
    found: Fields = {}
    for key, value in _read(islice(text.splitlines(), MAX_LINES)):
        values = found.setdefault(key, [])
        if len(values) < MAX_VALUES:
            values.append(value)
    return found


def _read(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Keys with their values; lines below a heading are values of it."""
    heading = ""
    section, depth, loose, begun = "", 0, False, False
    for line in lines:
        plain = line[:MAX_VALUE].strip()
        if not plain:
            heading = ""
            section = "" if begun else section  # a heading may stand apart from what is below it
            continue
        plain = plain.removeprefix("** ")
        plain = plain.removeprefix("- ") if heading else plain
        if plain[0] in "%#;>*-":
            continue
        indent = len(line) - len(line.lstrip())
        key, value = ("", "") if heading in NAMESERVER and _server(plain) else _field(plain)
        if section and indent <= depth and not (loose and key in OF_CONTACTS):
            section = ""
        if key and value:
            heading = ""
            begun = True
            yield (key if not section or key.startswith(section) else f"{section}: {key}"), value
        elif key or plain.lower() in HEADINGS:
            heading = key or plain.lower()
            section, depth, loose, begun = SECTIONS.get(heading, ""), indent, not key, False
        elif heading:
            begun = True
            yield heading, plain


def _field(plain: str) -> tuple[str, str]:
    """The key and the value of a line, both empty when it is no field, the value alone when it is a heading."""
    if found := _bracketed(plain) or _columns(plain) or _sentence(plain):
        return _key(found[1]), found[2].strip()
    if "#. ." in plain:
        key, _, value = plain.partition("#. .")
        return _key(key), value.lstrip(" .")
    if plain.startswith("domain:") and ":" in plain[8:] and plain[7] != " ":
        plain = plain.removeprefix("domain:")
    key, colon, value = plain.partition(":")
    value = value.strip()
    if not colon or len(key.strip(" .")) > MAX_KEY or "//" in key or value.startswith("//"):
        return "", ""
    return _key(key), value


def _key(text: str) -> str:
    """A key without leaders, dots of abbreviations, and the number of its kind."""
    return _number.sub("", " ".join(text.replace(".", " ").split()).lower()) or text.lower()


def first(found: Fields, keys: tuple[str, ...]) -> str:
    return next((found[key][0] for key in keys if key in found), "")


def dated(found: Fields, keys: tuple[str, ...]) -> int | None:
    """The date that ICANN's field has, else that which comes first: contacts have dates of their own, further on."""
    by_place = (key for key in found if key in keys)
    key = next((key for key in PRESCRIBED if key in keys and key in found), None) or next(by_place, None)
    return _date(found[key][0]) if key else None


def every(found: Fields, keys: tuple[str, ...]) -> list[str]:
    return [value for key in keys for value in found.get(key, ())]


def has_facts(found: Fields) -> bool:
    """Whether the text says anything of a registration."""
    return any(key in found for keys in (CREATED, EXPIRES, HANDLE, NAMESERVER, ("registrar iana id",)) for key in keys)


def is_nothing(text: str) -> bool:
    """Whether a text without facts says that there is no such domain."""
    return any(_nothing(line) for line in _statements(text))


def refusal_of(text: str, server: str) -> SourceError | None:
    """What a text without facts refuses, which a registry may say beside "nothing found"; None when it does not."""
    lines = _statements(text)
    for place, line in enumerate(lines):
        reason = f"{server}: {line[:120]!r}"
        if _limit(line):
            if _reduced(line) and is_nothing(text):
                continue  # that there is no such domain is all that there is to say
            seconds = _seconds(" ".join(lines[place : place + 2]))
            return RateLimited(reason, float(seconds[1]) if seconds else None)
        if _denied(line):
            return Blocked(reason)
        if _away(line):
            return Unreachable(reason)
    return None


def _statements(text: str) -> list[str]:
    """The lines of the text without the marks of comments."""
    return [line.strip("%#*>;- \t\r") for line in text[:MAX_SAID].splitlines()]


def registration_of(found: Fields) -> Registered:
    """The facts of a registration."""
    return Registered(
        handle=first(found, HANDLE),
        created=dated(found, CREATED),
        updated=dated(found, UPDATED),
        expires=dated(found, EXPIRES),
        status=tuple(every(found, STATUS)),
        registrar=_registrar.split(first(found, REGISTRAR), maxsplit=1)[0].strip(),
        registrar_id=first(found, ("registrar iana id",)),
        registrar_urls=tuple(every(found, REGISTRAR_URL)[:3]),
        reseller=first(found, ("reseller",)),
        nameservers=tuple(dict.fromkeys(value.split()[0] for value in every(found, NAMESERVER))),
        signed=_signed(first(found, SIGNED)),
        whois_server=first(found, ("registrar whois server", "whois server")),
        contacts=tuple(_contacts(found)),
    )


def _contacts(found: Fields) -> list[Contact]:
    contacts = [
        contact
        for prefix, role in (
            ("registrant", "registrant"),
            ("owner", "registrant"),
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
    """What stands under ``Registrant Name``, ``Registrant Email`` …, in a section, or under ``Registrant`` alone."""

    def one(*names: str) -> str:
        return first(found, tuple(f"{prefix}{mark} {name}" for mark in ("", ":") for name in names))

    organisation = one("organization", "organisation")
    called = one("name")
    alone = next((value for value in found.get(prefix, ()) if not _handle(value)), "")
    name = called or (alone if role == "registrant" and not organisation else "")
    emails = tuple(every(found, tuple(f"{prefix}{mark} {way}" for mark in ("", ":") for way in ("email", "e-mail"))))
    phones = tuple(every(found, (f"{prefix} phone", f"{prefix}: phone")))
    if not (organisation or name or emails or phones):
        return None
    street = every(found, tuple(f"{prefix}{mark} {part}" for mark in ("", ":") for part in ("street", "address")))
    place = [*street, one("city"), one("state/province"), one("postal code"), one("country")]
    # In a section a name without an organisation may be anybody's.
    personal = called and (organisation or f"{prefix} name" in found)
    return Contact(
        role=role,
        handle=first(found, (f"registry {prefix} id", f"{prefix}: handle", f"{prefix}: contactid")),
        name=name,
        organisation=organisation,
        emails=emails,
        phones=phones,
        kind="" if personal else "unstated",
        address=", ".join(filter(None, map(visible, place)))[:MAX_VALUE],
        city=visible(one("city")),
        country=one("country", "country code").upper(),
    )


def _date(text: str) -> int | None:
    plain = text.partition(" #")[0].removesuffix(" UTC").removesuffix(" GMT").strip(" .")
    return instant(plain, *DATES) or instant(plain[:10])


def _signed(text: str) -> bool | None:
    plain = text.lower()
    if plain == "n" or plain.startswith(("unsigned", "no", "inactive", "not signed")):
        return False
    return True if plain == "y" or plain.startswith(("signed", "yes", "active", "actif")) else None
