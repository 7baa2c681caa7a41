"""Entities and relations of Mirage out of objects of STIX 2.1, its own and those of others.

Every text goes through the normal form of its type, so that what is read is what a module could have said; an object
that is nothing of the kind is left out, and counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from services.contracts import entities
from services.contracts.claims import Entity, Malformed, Relation
from services.contracts.entities import ENTITY_TYPES, entity
from services.contracts.relations import RELATION_TYPES, relation
from services.reporting.domain.exports.stix_extension import EXTENSION
from services.reporting.domain.exports.stix_relations import relation_of

_KEY: Final = msgspec.json.Decoder(tuple[str, ...])
_OWN: Final = "mirage:"
_HASHES: Final = ("SHA-512", "SHA-256", "SHA-1", "MD5")

Stix = Mapping[str, Any]


class StixReading:
    """What objects say: ``entities`` by the ids of their objects, ``relations``, and of what kinds some are left out.

    Objects come in any order; `finish` when all are there.
    """

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}
        self.relations: list[Relation] = []
        self.left_out: Counter[str] = Counter()
        self._traffic: list[Stix] = []
        self._relationships: list[Stix] = []

    def add(self, objects: Iterable[Any]) -> None:
        """Take objects, each as JSON decoded; what is none is left out."""
        for each in objects:
            kind = each.get("type") if isinstance(each, Mapping) else None
            if not isinstance(kind, str) or not isinstance(each.get("id"), str):
                self.left_out["no object"] += 1
            elif kind == "relationship":
                self._relationships.append(each)
            elif kind == "network-traffic":
                self._traffic.append(each)
            elif kind not in _SILENT:
                self._take(each, kind, _read_object)

    def finish(self) -> None:
        """Read what refers to other objects."""
        for each in self._traffic:
            self._take(each, "network-traffic", self._service)
        for each in self._relationships:
            try:
                self.relations.append(self._relation(each))
            except _FAULTS:
                self.left_out["relationship"] += 1
        self._traffic, self._relationships = [], []

    def _take(self, each: Stix, kind: str, read: Callable[[Stix], Entity]) -> None:
        try:
            self.entities[each["id"]] = read(each)
        except _FAULTS:
            self.left_out[kind] += 1

    def _service(self, each: Stix) -> Entity:
        host = self.entities[each["dst_ref"]]
        if host.type != "ip_address":
            raise Malformed("a service is at an address")
        transport = next(name for name in each["protocols"] if name in {"tcp", "udp", "sctp"})
        return entities.service(host.key[0], transport, int(each["dst_port"]))

    def _relation(self, each: Stix) -> Relation:
        source, target = self.entities[each["source_ref"]], self.entities[each["target_ref"]]
        said = _extension(each)
        name = said.get("mirage_relation") or relation_of(
            each["relationship_type"], *(each[end].partition("--")[0] for end in ("source_ref", "target_ref"))
        )
        qualifiers = said.get("mirage_qualifiers", {})
        if not said and "record" in RELATION_TYPES[name].required:
            qualifiers = {
                "record": _RECORDS.get(target.key[0].count(":") > 0, "A") if name == "resolves_to" else "CNAME"
            }
        return relation(name, source, target, qualifiers=qualifiers, details=said.get("mirage_details", {}))


def _read_object(each: Stix) -> Entity:
    """The entity that an object is."""
    own = _own(each)
    if own is not None:
        return own
    return _READERS[each["type"]](each)


def _own(each: Stix) -> Entity | None:
    """The entity that a domain object of Mirage says it is."""
    for reference in each.get("external_references", ()):
        name = reference.get("source_name", "")
        if name.startswith(_OWN) and name.removeprefix(_OWN) in ENTITY_TYPES:
            return entity(name.removeprefix(_OWN), *_KEY.decode(reference["external_id"]))
    return None


def _extension(each: Stix) -> Stix:
    said = each.get("extensions", {}).get(EXTENSION, {})
    if not isinstance(said, Mapping):
        raise Malformed("an extension is an object")
    return said


def _by_value(each: Stix) -> Entity:
    value = each["value"]
    return entities.netblock(value) if "/" in value else entities.ip_address(value)


def _keyed(kind: str, *names: str) -> Callable[[Stix], Entity]:
    """What reads an object whose properties are the parts of a key."""

    def read(each: Stix) -> Entity:
        parts = [each[name] for name in names if name in each]
        return entity(kind, *parts)

    return read


def _technology(each: Stix) -> Entity:
    if _extension(each).get("mirage_type") == "mobile_app":
        return entities.mobile_app(each["vendor"], each["name"])
    if each.get("cpe"):
        return entities.technology(each["cpe"])
    return entities.technology(each["name"], each.get("version", ""))


def _file(each: Stix) -> Entity:
    name = next(name for name in _HASHES if name in each["hashes"])
    return entity("file", name.lower().replace("-", ""), each["hashes"][name])


def _account(each: Stix) -> Entity:
    login = each.get("account_login") or each["user_id"]
    return entities.account(each["account_type"], login) if each.get("account_type") else entities.username(login)


def _payment(each: Stix) -> Entity:
    if "iban" in each:
        return entities.payment_instrument("iban", each["iban"])
    return entities.payment_instrument(each["account_type"], each["account_number"])


def _identity(each: Stix) -> Entity:
    """Organisations of others; Mirage says itself what else it is that it calls an identity."""
    if each.get("identity_class") != "organization":
        raise Malformed("only an organisation is known by its name")
    return entities.organization("name", each["name"])


def _location(each: Stix) -> Entity:
    if "latitude" in each:
        return entities.coordinates(float(each["latitude"]), float(each["longitude"]))
    if "administrative_area" in each and "-" in each["administrative_area"]:
        return entities.location("region", each["administrative_area"])
    return entities.location("country", each["country"])


_READERS: Final[dict[str, Callable[[Stix], Entity]]] = {
    "domain-name": lambda each: entities.name(each["value"]),
    "hostname": lambda each: entities.name(each["value"]),
    "ipv4-addr": _by_value,
    "ipv6-addr": _by_value,
    "autonomous-system": lambda each: entities.asn(int(each["number"])),
    "mac-addr": lambda each: entities.mac_address(each["value"]),
    "url": lambda each: entities.url(each["value"]),
    "x509-certificate": lambda each: entities.certificate(each["hashes"]["SHA-256"]),
    "software": _technology,
    "file": _file,
    "email-addr": lambda each: entities.email_address(each["value"]),
    "user-account": _account,
    "identity": _identity,
    "location": _location,
    "vulnerability": lambda each: entities.vulnerability(each["name"]),
    "x-dns-record": _keyed("dns_record", "owner", "record_type", "data"),
    "x-wifi-network": _keyed("wifi_network", "scheme", "value", "geohash"),
    "x-web-tracker": _keyed("web_tracker", "kind", "value"),
    "x-fingerprint": _keyed("fingerprint", "algorithm", "value"),
    "x-code-repository": _keyed("code_repository", "forge", "path"),
    "x-identifier": _keyed("identifier", "scheme", "value"),
    "x-transaction": _keyed("transaction", "chain", "hash"),
    "x-registration": _keyed("registration", "registry", "handle"),
    "phone-number": _keyed("phone_number", "value"),
    "cryptocurrency-wallet": _keyed("crypto_address", "chain", "value"),
    "bank-account": _payment,
    "payment-card": lambda each: entities.payment_instrument("card", each["card_number"], each["hmac"]),
    "credential": _keyed("credential", "credential_type", "value"),
    "cryptographic-key": _keyed("crypto_key", "key_type", "value"),
}
_RECORDS: Final = {True: "AAAA"}
#: Objects about other objects, which are no things themselves.
_SILENT: Final = frozenset(
    {"observed-data", "marking-definition", "extension-definition", "language-content", "bundle"}
)
#: What reading something that a stranger wrote can raise.
_FAULTS: Final = (Malformed, KeyError, TypeError, ValueError, AttributeError, StopIteration, msgspec.MsgspecError)
