"""Which events of SpiderFoot an attribute is: what `contracts/attributes` names, told apart by what it is said of."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from services.contracts.claims import Value
from services.correlation.domain.spiderfoot.event_types import EVENT_TYPES
from services.correlation.domain.spiderfoot.things import Form, Thing

#: Of attributes that decide which event an entity is, beside those that are events.
DECIDING: Final = frozenset(
    {
        *("resolution", "state", "generic_mailbox", "display_name", "given_name", "family_name", "legal_name"),
        *("title", "description", "file_name", "cvss", "latitude", "longitude", "issuer", "registrar"),
        "false_positive",
    }
)

_MICROSECONDS: Final = 1_000_000
_EXPIRING: Final = 30 * 86_400 * _MICROSECONDS

_HOSTS: Final = ("domain", "hostname")
_ANONYMISERS: Final = {"tor": "TOR_EXIT_NODE", "vpn": "VPN_HOST", "proxy": "PROXY_HOST"}
_BALANCES: Final = {"bitcoin": "BITCOIN_BALANCE", "ethereum": "ETHEREUM_BALANCE"}

Describe = Callable[[Thing, Value, int], Iterator[Form]]


def describe(thing: Thing, name: str, value: Value, module: str, now: int) -> Iterator[Form]:
    """The events that a value of an attribute is, when it was said by a module and is seen at an instant."""
    if name in _VERDICTS:
        yield from _VERDICTS[name](thing, value, module)
    elif name in _PLAIN:
        if value not in ("", False):
            yield _PLAIN[name], str(value)
    elif name in _SPECIAL:
        yield from _SPECIAL[name](thing, value, now)


def _scope_of(thing: Thing) -> str:
    """How SpiderFoot calls the kind of what a verdict is on; nothing where it has none."""
    match thing.entity.type:
        case "ip_address":
            return "IPADDR" if thing.is_inside else "AFFILIATE_IPADDR"
        case "domain" | "hostname" | "url":
            if thing.role == "co_hosted":
                return "COHOST"
            return "INTERNET_NAME" if thing.is_inside else "AFFILIATE_INTERNET_NAME"
        case "netblock":
            return "NETBLOCK" if thing.is_inside else "SUBNET"
    return ""


def _listed_by(thing: Thing, value: Value, _: str) -> Iterator[Form]:
    if scope := _scope_of(thing):
        yield f"BLACKLISTED_{scope}", f"{value} [{thing.entity.value}]"
    elif thing.entity.type == "email_address":
        yield "MALICIOUS_EMAILADDR", f"{value} [{thing.entity.value}]"


def _maliciousness(thing: Thing, value: Value, module: str) -> Iterator[Form]:
    if not isinstance(value, int | float) or value <= 0:
        return
    if scope := _scope_of(thing):
        yield f"MALICIOUS_{scope}", f"{module} [{thing.entity.value}]"


#: Attributes whose events name who said them.
_VERDICTS: Final[dict[str, Callable[[Thing, Value, str], Iterator[Form]]]] = {
    "listed_by": _listed_by,
    "maliciousness": _maliciousness,
}

#: Attributes that are one type of event whatever they are said of, with their value as its text.
_PLAIN: Final[dict[str, str]] = {
    "cookie": "TARGET_WEB_COOKIE",
    "country": "COUNTRY_NAME",
    "device_type": "DEVICE_TYPE",
    "error_page": "ERROR_MESSAGE",
    "header": "WEBSERVER_HTTPHEADERS",
    "http_status": "HTTP_CODE",
    "issuer": "SSL_CERTIFICATE_ISSUER",
    "job_title": "JOB_TITLE",
    "line_type": "PHONE_NUMBER_TYPE",
    "mail_provider": "PROVIDER_MAIL",
    "mime_type": "TARGET_WEB_CONTENT_TYPE",
    "name_server_software": "SOFTWARE_USED",
    "numbering_area": "GEOINFO",
    "operating_system": "OPERATING_SYSTEM",
    "place": "GEOINFO",
    "postal_address": "PHYSICAL_ADDRESS",
    "powered_by": "WEBSERVER_TECHNOLOGY",
    "generator": "WEBSERVER_TECHNOLOGY",
    "product": "SOFTWARE_USED",
    "provider_verification": "DNS_TEXT",
    "registrar": "DOMAIN_REGISTRAR",
    "server": "WEBSERVER_BANNER",
    "soa_mailbox": "EMAILADDR",
    "spf_policy": "DNS_SPF",
    "subject": "SSL_CERTIFICATE_ISSUED",
    "carrier": "PROVIDER_TELCO",
}


def _itself(type: str) -> Describe:
    """One type of event with the entity as its text, when it is so."""

    def form(thing: Thing, value: Value, _: int) -> Iterator[Form]:
        if value not in (False, "", "0"):
            yield type, thing.entity.value

    return form


def _banner(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    yield ("UDP_PORT_OPEN_INFO" if thing.entity.key[1] == "udp" else "TCP_PORT_OPEN_BANNER"), str(value)


def _not_after(_: Thing, value: Value, now: int) -> Iterator[Form]:
    if not isinstance(value, int) or isinstance(value, bool):
        return
    left = value - now
    if left < _EXPIRING:
        yield ("SSL_CERTIFICATE_EXPIRED" if left < 0 else "SSL_CERTIFICATE_EXPIRING"), _day(value)


def _day(microseconds: int) -> str:
    try:
        return datetime.fromtimestamp(microseconds / _MICROSECONDS, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return str(microseconds)


def _trust_error(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    if "mismatch" in str(value):
        yield "SSL_CERTIFICATE_MISMATCH", str(value)


def _accepts_mail(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    if thing.entity.type == "email_address":
        yield ("EMAILADDR_DELIVERABLE" if value else "EMAILADDR_UNDELIVERABLE"), thing.entity.value


def _disposable(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    if thing.entity.type == "email_address" and value:
        yield "EMAILADDR_DISPOSABLE", thing.entity.value


def _anonymiser(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    if found := _ANONYMISERS.get(str(value).lower()):
        yield found, thing.entity.value


def _balance(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    if found := _BALANCES.get(thing.entity.key[0]):
        yield found, str(value)


def _described(kind: str) -> Describe:
    def form(thing: Thing, value: Value, _: int) -> Iterator[Form]:
        is_affiliate = bool(thing.types) and thing.types[-1].startswith("AFFILIATE_")
        yield f"{'AFFILIATE_' if is_affiliate else ''}DESCRIPTION_{kind}", str(value)

    return form


def _display_name(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    if thing.entity.type == "account":
        yield "HUMAN_NAME", str(value)


def _author(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    """What a document says of itself, and the name in it."""
    if thing.entity.type == "file":
        yield "RAW_FILE_META_DATA", f"Author: {value}"
        yield "HUMAN_NAME", str(value)


def _takeover(thing: Thing, _: Value, __: int) -> Iterator[Form]:
    yield "AFFILIATE_INTERNET_NAME_HIJACKABLE", thing.entity.value


def _zone_transfer(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    yield "VULNERABILITY_DISCLOSURE", f"{thing.entity.value}: {value} hands out the whole zone"


def _latitude(thing: Thing, value: Value, _: int) -> Iterator[Form]:
    """Both parts of a place; a location says them itself."""
    longitude = thing.value("longitude")
    if thing.entity.type == "ip_address" and longitude is not None:
        yield "PHYSICAL_COORDINATES", f"{value},{longitude}"


_SPECIAL: Final[dict[str, Describe]] = {
    "accepts_mail": _accepts_mail,
    "anonymiser": _anonymiser,
    "author": _author,
    "balance": _balance,
    "banner": _banner,
    "biography": _described("ABSTRACT"),
    "category": _described("CATEGORY"),
    "description": _described("ABSTRACT"),
    "display_name": _display_name,
    "disposable": _disposable,
    "form_target": _itself("URL_FORM"),
    "latitude": _latitude,
    "login_form": _itself("URL_PASSWORD"),
    "not_after": _not_after,
    "open_zone_transfer": _zone_transfer,
    "public_access": _itself("CLOUD_STORAGE_BUCKET_OPEN"),
    "takeover_candidate": _takeover,
    "trust_error": _trust_error,
    "upload_form": _itself("URL_UPLOAD"),
}


def _types(*words: str) -> frozenset[str]:
    """The types that have one of some words in them."""
    return frozenset(name for name in EVENT_TYPES if any(word in name for word in words))


#: The attributes that are events, each with the types that it may be.
DESCRIBING: Final[dict[str, frozenset[str]]] = {
    **{name: frozenset({found}) for name, found in _PLAIN.items()},
    "accepts_mail": _types("DELIVERABLE"),
    "anonymiser": frozenset(_ANONYMISERS.values()),
    "author": frozenset({"RAW_FILE_META_DATA", "HUMAN_NAME"}),
    "balance": frozenset(_BALANCES.values()),
    "banner": frozenset({"TCP_PORT_OPEN_BANNER", "UDP_PORT_OPEN_INFO"}),
    "biography": _types("DESCRIPTION_ABSTRACT"),
    "category": _types("DESCRIPTION_CATEGORY"),
    "description": _types("DESCRIPTION_ABSTRACT"),
    "display_name": frozenset({"HUMAN_NAME"}),
    "disposable": frozenset({"EMAILADDR_DISPOSABLE"}),
    "form_target": _types("URL_FORM"),
    "latitude": frozenset({"PHYSICAL_COORDINATES"}),
    "listed_by": _types("BLACKLISTED_", "MALICIOUS_EMAILADDR"),
    "login_form": _types("URL_PASSWORD"),
    "maliciousness": _types("MALICIOUS_"),
    "not_after": _types("SSL_CERTIFICATE_EXPIR"),
    "open_zone_transfer": frozenset({"VULNERABILITY_DISCLOSURE"}),
    "public_access": frozenset({"CLOUD_STORAGE_BUCKET_OPEN"}),
    "takeover_candidate": frozenset({"AFFILIATE_INTERNET_NAME_HIJACKABLE"}),
    "trust_error": frozenset({"SSL_CERTIFICATE_MISMATCH"}),
    "upload_form": _types("URL_UPLOAD"),
}

#: Events of which each is the source of the next.
CHAINED: Final = frozenset({"author"})
#: What comes from who showed a certificate, not from the certificate.
SHOWN: Final = frozenset({"subject", "issuer", "not_after"})
#: A type that has another one for what is over.
HISTORIC: Final = frozenset({"URL_FORM", "URL_PASSWORD", "URL_UPLOAD", "INTERESTING_FILE"})
