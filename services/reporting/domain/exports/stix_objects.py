"""Entities as objects of STIX 2.1: which object a type is, what its properties are, and by what it is identified.

Observables have only what tells them from others, and what the standard has a place for, so that the same thing is the
same object in every export; what a scan says of it is in `observed-data` (`stix`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from services.contracts.claims import Entity
from services.contracts.entities import ip_address, url
from services.reporting.domain.exports.places import box_of
from services.reporting.domain.exports.stix_extension import EXTENSION
from services.reporting.domain.exports.stix_ids import mirage_id, observable_id
from services.reporting.domain.exports.times import stamp

Stix = dict[str, Any]
#: Values of attributes by their names.
Values = Mapping[str, Sequence[Any]]

_HASHES: Final = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
#: Which software is an application in a store.
_APP: Final = {EXTENSION: {"extension_type": "property-extension", "mirage_type": "mobile_app"}}
_NEW: Final = {EXTENSION: {"extension_type": "new-sco"}}


class Made:
    """An object, or what it would be: its ``id`` is known without its attributes.

    ``parts`` are the entities whose objects it refers to. ``custom``: the standard has no such object. ``domain``: it
    is a domain object, which says itself who made it, when, and what else is known.
    """

    __slots__ = ("custom", "domain", "id", "kind", "parts", "properties")

    def __init__(
        self,
        kind: str,
        id: str,
        properties: Stix,
        *,
        parts: tuple[Entity, ...] = (),
        custom: bool = False,
        domain: bool = False,
    ) -> None:
        self.kind = kind
        self.id = id
        self.properties = properties
        self.parts = parts
        self.custom = custom
        self.domain = domain


def made(entity: Entity, values: Values) -> Made:
    """The object that an entity is, with what of its attributes has a place there."""
    return _FORMS[entity.type](entity, values)


def id_of(entity: Entity) -> str:
    """The id of the object that an entity is."""
    return made(entity, {}).id


def is_standard(entity: Entity) -> bool:
    """Whether the standard has an object for it."""
    if entity.type in _NAMES:
        return _is_registrable(entity.key[0])
    return entity.type not in _CUSTOM


def _is_registrable(name: str) -> bool:
    """Whether a name keeps to RFC 5890, as those of `domain-name` have to: many that are in use do not."""
    if "_" in name or any(label[2:4] == "--" and label[:2] != "xn" for label in name.split(".")):
        return False
    return "xn--" not in name or _is_international(name)


@lru_cache(maxsize=4096)
def _is_international(name: str) -> bool:
    import idna

    try:
        idna.encode(name)
    except UnicodeError:
        return False
    return True


def _observable(kind: str, contributing: Stix, others: Stix | None = None, **more: Any) -> Made:
    return Made(kind, observable_id(kind, contributing), {**contributing, **(others or {})}, **more)


def _custom(kind: str, *names: str) -> Callable[[Entity, Values], Made]:
    def form(entity: Entity, values: Values) -> Made:
        said = dict(zip(names, entity.key, strict=False))
        return Made(kind, observable_id(kind, said), {**said, "extensions": _NEW}, custom=True)

    return form


def _value(kind: str) -> Callable[[Entity, Values], Made]:
    return lambda entity, _: _observable(kind, {"value": entity.key[0]})


def _name(entity: Entity, values: Values) -> Made:
    if is_standard(entity):
        return _observable("domain-name", {"value": entity.key[0]})
    return _HOSTNAME(entity, values)


def _address(entity: Entity, values: Values) -> Made:
    return _observable("ipv6-addr" if ":" in entity.key[0] else "ipv4-addr", {"value": entity.key[0]})


def _asn(entity: Entity, values: Values) -> Made:
    name = _first(values, "network_name", "display_name")
    return _observable("autonomous-system", {"number": int(entity.key[0])}, {"name": name} if name else {})


def _service(entity: Entity, values: Values) -> Made:
    address, transport, port = entity.key
    host = ip_address(address)
    contributing = {
        "dst_ref": id_of(host),
        "dst_port": int(port),
        "protocols": ["ipv6" if ":" in address else "ipv4", transport],
    }
    return _observable("network-traffic", contributing, parts=(host,))


def _certificate(entity: Entity, values: Values) -> Made:
    # Its serial number contributes to the id, and is not known of every one: with it one thing would be two.
    others: Stix = {}
    for name, said in (("subject", "subject"), ("issuer", "issuer"), ("signature_algorithm", "signature_algorithm")):
        if text := _first(values, said):
            others[name] = text
    for name, said in (("validity_not_before", "not_before"), ("validity_not_after", "not_after")):
        if values.get(said):
            others[name] = stamp(values[said][0])
    if values.get("key_algorithm"):
        others["subject_public_key_algorithm"] = _first(values, "key_algorithm")
    if values.get("self_signed"):
        others["is_self_signed"] = bool(values["self_signed"][0])
    return _observable("x509-certificate", {"hashes": {"SHA-256": entity.key[0]}}, others)


def _technology(entity: Entity, values: Values) -> Made:
    name, version = entity.key
    if name.startswith("cpe:"):
        parts = name.split(":")
        return _observable("software", {"name": parts[4], "cpe": name})
    return _observable("software", {"name": name, **({"version": version} if version else {})})


def _mobile_app(entity: Entity, values: Values) -> Made:
    store, bundle = entity.key
    return _observable("software", {"name": bundle, "vendor": store}, {"extensions": _APP})


def _file(entity: Entity, values: Values) -> Made:
    algorithm, digest = entity.key
    others = {
        name: values[said][0] for name, said in (("size", "size"), ("mime_type", "mime_type")) if values.get(said)
    }
    if others.get("size", 0) < 0:
        del others["size"]
    return _observable("file", {"hashes": {_HASHES[algorithm]: digest}}, others)


def _email(entity: Entity, values: Values) -> Made:
    name = _first(values, "display_name")
    return _observable("email-addr", {"value": entity.key[0]}, {"display_name": name} if name else {})


def _username(entity: Entity, values: Values) -> Made:
    return _observable("user-account", {"account_login": entity.key[0]})


def _account(entity: Entity, values: Values) -> Made:
    platform, handle = entity.key
    name = _first(values, "display_name")
    others: Stix = {"display_name": name} if name else {}
    if values.get("created_at"):
        others["account_created"] = stamp(values["created_at"][0])
    return _observable("user-account", {"account_type": platform, "account_login": handle}, others)


def _payment(entity: Entity, values: Values) -> Made:
    kind, value, *hmac = entity.key
    if kind == "card":
        said = {"card_number": value, "hmac": hmac[0]}
    else:
        said = {"iban": value} if kind == "iban" else {"account_type": kind, "account_number": value}
    name = "payment-card" if kind == "card" else "bank-account"
    return Made(name, observable_id(name, said), {**said, "extensions": _NEW}, custom=True)


def _domain(kind: str, entity: Entity, properties: Stix, **more: Any) -> Made:
    return Made(kind, mirage_id(kind, entity.id.hex()), properties, domain=True, **more)


def _identity(kind: str) -> Callable[[Entity, Values], Made]:
    def form(entity: Entity, values: Values) -> Made:
        name = _first(values, "legal_name", "display_name", "tenant_brand") or entity.value
        return _domain("identity", entity, {"name": name, "identity_class": kind})

    return form


def _infrastructure(entity: Entity, values: Values) -> Made:
    return _domain("infrastructure", entity, {"name": " ".join(entity.key)})


def _location(entity: Entity, values: Values) -> Made:
    kind, value, *country = entity.key
    place: Stix = {"name": entity.value}
    if kind == "country":
        place["country"] = value
    elif kind == "region":
        place |= {"country": value[:2], "administrative_area": value}
    elif kind == "geohash":
        latitude, longitude, metres = box_of(value)
        place |= {"latitude": latitude, "longitude": longitude, "precision": metres}
    else:
        place["city" if kind == "city" else "street_address"] = value
        # The standard wants to know of every place at least in which part of the world it is.
        place |= {"country": country[0]} if country and country[0] else {"region": "unknown"}
    return _domain("location", entity, place)


def _vulnerability(entity: Entity, values: Values) -> Made:
    name = entity.key[0]
    reference = {"external_references": [{"source_name": "cve", "external_id": name}]} if name[:4] == "CVE-" else {}
    return _domain("vulnerability", entity, {"name": name, **reference})


def _breach(entity: Entity, values: Values) -> Made:
    return _domain("incident", entity, {"name": ": ".join(entity.key)})


def _publication(entity: Entity, values: Values) -> Made:
    place = url(entity.key[0])
    content = _first(values, "title", "description") or entity.key[0]
    return _domain("note", entity, {"content": content, "object_refs": [id_of(place)]}, parts=(place,))


def _first(values: Values, *names: str) -> str:
    """The first value of the first of these attributes that there is."""
    return next((str(values[name][0]) for name in names if values.get(name)), "")


_NAMES: Final = ("domain", "hostname")
_HOSTNAME: Final = _custom("hostname", "value")
_FORMS: Final[dict[str, Callable[[Entity, Values], Made]]] = {
    "domain": _name,
    "hostname": _name,
    "ip_address": _address,
    "netblock": _address,
    "asn": _asn,
    "dns_record": _custom("x-dns-record", "owner", "record_type", "data"),
    "service": _service,
    "mac_address": _value("mac-addr"),
    "wifi_network": _custom("x-wifi-network", "scheme", "value", "geohash"),
    "url": _value("url"),
    "certificate": _certificate,
    "technology": _technology,
    "web_tracker": _custom("x-web-tracker", "kind", "value"),
    "fingerprint": _custom("x-fingerprint", "algorithm", "value"),
    "cloud_resource": _infrastructure,
    "cloud_tenant": _identity("system"),
    "mobile_app": _mobile_app,
    "code_repository": _custom("x-code-repository", "forge", "path"),
    "file": _file,
    "email_address": _email,
    "phone_number": _custom("phone-number", "value"),
    "username": _username,
    "account": _account,
    "person": _identity("individual"),
    "organization": _identity("organization"),
    "location": _location,
    "identifier": _custom("x-identifier", "scheme", "value"),
    "crypto_address": _custom("cryptocurrency-wallet", "chain", "value"),
    "payment_instrument": _payment,
    "transaction": _custom("x-transaction", "chain", "hash"),
    "registration": _custom("x-registration", "registry", "handle"),
    "vulnerability": _vulnerability,
    "breach": _breach,
    "credential": _custom("credential", "credential_type", "value"),
    "crypto_key": _custom("cryptographic-key", "key_type", "value"),
    "publication": _publication,
}
_CUSTOM: Final = frozenset({
    "dns_record", "wifi_network", "web_tracker", "fingerprint", "code_repository", "phone_number", "identifier",
    "crypto_address", "payment_instrument", "transaction", "registration", "credential", "crypto_key",
})  # fmt: skip
