"""People and organisations: how they are reached, called and registered, and where they are."""

import re
from collections.abc import Callable

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.addresses import geohash
from services.contracts.entities.text import folded, line, token
from services.contracts.names import host, shown

MAX_EMAIL = 254
_atom = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_dot_atom = re.compile(rf"{_atom}(?:\.{_atom})*+").fullmatch
_quoted = re.compile(r'"((?:[^"\\]|\\.)*+)"').fullmatch
_phone = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_country = re.compile(r"[A-Z]{2}").fullmatch
_region = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}").fullmatch
_lei = re.compile(r"[0-9A-Z]{18}[0-9]{2}").fullmatch

# Platforms that take a handle in any case as the same account.
_FOLDING_PLATFORMS = frozenset({
    "bitbucket", "bluesky", "codeberg", "facebook", "github", "gitlab", "gravatar", "instagram", "keybase", "linkedin",
    "mastodon", "medium", "pinterest", "reddit", "telegram", "tiktok", "twitch", "twitter", "vimeo",
})  # fmt: skip


def email_address(text: str) -> Entity:
    """An address of RFC 5321 or RFC 6531, in lower case; a quoted local part loses quotes it does not need."""
    return Entity("email_address", email_address_key(text))


def phone_number(text: str) -> Entity:
    """An international number of ITU-T E.164, with any usual separators; national numbers have no normal form here."""
    return Entity("phone_number", phone_number_key(text))


def username(text: str) -> Entity:
    """A handle that nobody has tied to a platform yet."""
    return Entity("username", username_key(text))


def account(platform: str, handle: str) -> Entity:
    """An account on a platform, such as ``("github", "octocat")``."""
    return Entity("account", account_key(platform, handle))


def person(source: str, handle: str) -> Entity:
    """A human being as one source knows them; what they are called is an attribute."""
    return Entity("person", person_key(source, handle))


def organization(scheme: str, id: str, country: str = "") -> Entity:
    """An organisation by register id (``("lei", …)``, ``("peeringdb", "42")``) or as ``("name", name, country)``.

    ``country`` is ISO 3166-1 alpha-2 or empty, and given with a name only.
    """
    return Entity("organization", organization_key(scheme, id, country) if country else organization_key(scheme, id))


def location(kind: str, value: str, country: str = "") -> Entity:
    """A place: ``country`` or ``region`` by ISO 3166 code, ``geohash``, ``city`` or ``address`` by text and country."""
    return Entity("location", location_key(kind, value, country) if country else location_key(kind, value))


def coordinates(latitude: float, longitude: float) -> Entity:
    """The location of a point in degrees (WGS 84), as a geohash of 7 characters (about 150 metres)."""
    return Entity("location", ("geohash", _geohash_of(latitude, longitude, 7)))


def identifier(scheme: str, value: str) -> Entity:
    """A number that a register gave, such as ``("vat", "GB123456789")``."""
    return Entity("identifier", identifier_key(scheme, value))


def registration(registry: str, handle: str) -> Entity:
    """What a registry holds of a domain, network or system, by the registry's own handle for it."""
    return Entity("registration", registration_key(registry, handle))


def email_address_key(text: str) -> tuple[str]:
    plain = text.strip()
    if plain[:7].lower() == "mailto:":
        plain = plain[7:].partition("?")[0]
    local, at, place = plain.rpartition("@")
    if not at or len(plain) > 1024 or not plain.isprintable():
        raise Malformed(f"{shown(text)} is not an e-mail address")
    whole = f"{_local_part(local, text)}@{_mail_host(place, text)}"
    if len(whole.encode()) > MAX_EMAIL:
        raise Malformed(f"{shown(text)} is over {MAX_EMAIL} octets")
    return (whole,)


def phone_number_key(text: str) -> tuple[str]:
    plain = text.strip()
    if plain[:4].lower() == "tel:":
        plain = plain[4:]
    if len(plain) <= 64:
        digits = re.sub(r"[\s().\u2010-\u2015/-]", "", plain.replace("(0)", ""))
        if _phone(digits):
            return (digits,)
    raise Malformed(f"{shown(text)} is not an international phone number; it begins with + and the country's code")


def username_key(text: str) -> tuple[str]:
    return (_handle(text, "a user name", folded),)


def account_key(platform: str, handle: str) -> tuple[str, str]:
    where = token(platform, "a platform")
    return (where, _handle(handle, "the handle of an account", _form(where)))


def person_key(source: str, handle: str) -> tuple[str, str]:
    where = token(source, "a source")
    return (where, _form(where)(handle, "what a source calls a person", limit=256))


def organization_key(scheme: str, value: str, country: str = "") -> tuple[str, ...]:
    kind = token(scheme, "a scheme of organisations")
    if kind == "name":
        return (kind, folded(value, "the name of an organisation", limit=256), _country_code(country))
    if country.strip():
        raise Malformed("only an organisation known by name alone has a country in its key")
    if kind in _FOLDING_PLATFORMS:
        return (kind, folded(value, "the handle of an organisation", limit=256))
    return identifier_key(kind, value)


def location_key(kind: str, value: str, country: str = "") -> tuple[str, ...]:
    match kind:
        case "city" | "address":
            return (kind, folded(value, "a place", limit=512), _country_code(country))
        case "country" if not country:
            return (kind, _country_code(value) or _no_place(value))
        case "region" if not country:
            code = value.strip().upper()
            return (kind, code if _region(code) else _no_place(value))
        case "geohash" if not country:
            return (kind, geohash(value))
    raise Malformed(f"{shown(kind)} is not a kind of location; there are country, region, city, address and geohash")


def identifier_key(scheme: str, value: str) -> tuple[str, str]:
    kind = token(scheme, "a scheme of identifiers")
    plain = line(value, "an identifier", limit=256)
    if kind in ("lei", "vat", "duns", "isbn", "eori"):
        plain = plain.replace(" ", "").replace("-", "").upper()
        plain = line(plain, "an identifier", limit=256)
    if kind == "lei" and not (_lei(plain) and int("".join(str(int(char, 36)) for char in plain)) % 97 == 1):
        raise Malformed(f"{shown(value)} is not a legal entity identifier")
    return (kind, plain)


def registration_key(registry: str, handle: str) -> tuple[str, str]:
    plain = line(handle, "the handle of a registration", limit=256)
    return (token(registry, "a registry"), plain.upper() if plain.isascii() else plain)


def _local_part(local: str, text: str) -> str:
    found = _quoted(local)
    if found:
        content = folded(re.sub(r"\\(.)", r"\1", found[1]), "the local part of an e-mail address", limit=64)
        plain = content if _dot_atom(content) else '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'
    else:
        plain = local.lower()
        if not _dot_atom(plain):
            plain = folded(local, "the local part of an e-mail address", limit=64)
            if plain.isascii() or not _dot_atom(re.sub(r"[^\x00-\x7f]", "x", plain)):
                raise Malformed(f"{shown(text)} is not an e-mail address")
    if len(plain.encode()) > 64:
        raise Malformed(f"{shown(text)} has a local part over 64 octets")
    return plain


def _mail_host(place: str, text: str) -> str:
    named = host(place)
    if "." not in named:
        raise Malformed(f"{shown(text)} is not an e-mail address that mail from elsewhere could reach")
    return named


def _form(platform: str) -> Callable[..., str]:
    return folded if platform in _FOLDING_PLATFORMS else line


def _handle(text: str, what: str, form: Callable[..., str]) -> str:
    plain = form(text.strip().lstrip("@"), what, limit=128)
    if " " in plain or plain[0] == "@":
        raise Malformed(f"{shown(text)} is not {what}")
    return plain


def _country_code(text: str) -> str:
    code = text.strip().upper()
    if code and not (text.isascii() and _country(code)):
        raise Malformed(f"{shown(text)} is not a country's code of two letters")
    return code


def _no_place(text: str) -> str:
    raise Malformed(f"{shown(text)} is not a code of ISO 3166")


def _geohash_of(latitude: float, longitude: float, length: int) -> str:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise Malformed(f"{latitude}, {longitude} is not a point on Earth")
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    point = (longitude, latitude)
    bits = 0
    for turn in range(5 * length):
        axis = turn % 2
        low, high = bounds[axis]
        middle = (low + high) / 2
        above = point[axis] >= middle
        bounds[axis][0 if above else 1] = middle
        bits = bits << 1 | above
    return "".join("0123456789bcdefghjkmnpqrstuvwxyz"[bits >> 5 * (length - 1 - at) & 31] for at in range(length))
