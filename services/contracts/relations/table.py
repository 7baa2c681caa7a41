"""The table of relation types: which entities they join, what identifies and what describes them."""

from collections.abc import Callable, Iterable, Mapping
from itertools import product

import msgspec

from services.contracts.claims import Entity, Malformed, OutsideVocabulary, Relation
from services.contracts.entities import ENTITY_TYPES
from services.contracts.entities.text import line, token
from services.contracts.names import host, shown

_NONE: Mapping[str, str] = {}
_RECORDS = frozenset({"A", "AAAA", "CNAME", "DNAME"})


class RelationType(msgspec.Struct, frozen=True, kw_only=True):
    """One type: ``pairs`` of source and target types it may join.

    ``qualifiers`` are part of the identity, each with its normal form, and those in ``required`` cannot be left out;
    ``details`` describe one observation. ``stix`` is the STIX 2.1 relationship (``related-to`` where it has none),
    ``spiderfoot`` the event types that stand in its place, parent and child.
    """

    name: str
    doc: str
    pairs: frozenset[tuple[str, str]]
    qualifiers: Mapping[str, Callable[[str], str]] = {}
    required: frozenset[str] = frozenset()
    details: Mapping[str, type[int] | type[str]] = {}
    stix: str = "related-to"
    spiderfoot: str = ""


_ALL = frozenset(ENTITY_TYPES)
_PEOPLE = ("email_address", "phone_number", "username", "account", "person", "organization")
_ASSETS = (
    "hostname", "ip_address", "netblock", "asn", "service", "url", "certificate", "cloud_resource", "cloud_tenant",
    "mobile_app", "code_repository", "account", "registration", "technology", "crypto_address", "dns_record",
)  # fmt: skip
_TEXTS = ("publication", "file", "url", "dns_record", "code_repository", "registration", "account")


def _pairs(*ends: tuple[Iterable[str], Iterable[str]]) -> frozenset[tuple[str, str]]:
    """Every source with every target of each pair of ends; ``hostname`` stands for domains as well."""
    joined = ((_with_domain(sources), _with_domain(targets)) for sources, targets in ends)
    return frozenset(pair for sources, targets in joined for pair in product(sources, targets))


def _with_domain(types: Iterable[str]) -> set[str]:
    found = set(types)
    assert found <= _ALL, found - _ALL
    return found | {"domain"} if "hostname" in found else found


def _record(text: str) -> str:
    found = text.strip().upper()
    if found not in _RECORDS:
        raise Malformed(f"{shown(text)} is not a record that leads to another name or address")
    return found


def _role(text: str) -> str:
    return token(text, "a role")


def _yes(text: str) -> str:
    if text != "yes":
        raise Malformed(f"{shown(text)} is not yes; without it the qualifier is left out")
    return text


RELATION_TYPES: dict[str, RelationType] = {
    relation_type.name: relation_type
    for relation_type in (
        RelationType(
            name="resolves_to",
            doc="A name has an address record.",
            pairs=_pairs((["hostname"], ["ip_address"])),
            qualifiers={"record": _record},
            required=frozenset({"record"}),
            details={"ttl": int},
            stix="resolves-to",
            spiderfoot="INTERNET_NAME > IP_ADDRESS",
        ),
        RelationType(
            name="alias_of",
            doc="A name is another name by CNAME or DNAME.",
            pairs=_pairs((["hostname"], ["hostname"])),
            qualifiers={"record": _record},
            required=frozenset({"record"}),
            details={"ttl": int},
            stix="resolves-to",
            spiderfoot="INTERNET_NAME > AFFILIATE_INTERNET_NAME",
        ),
        RelationType(
            name="uses_nameserver",
            doc="A zone is served by a name server.",
            pairs=_pairs((["hostname"], ["hostname"])),
            details={"ttl": int},
            spiderfoot="DOMAIN_NAME > PROVIDER_DNS",
        ),
        RelationType(
            name="uses_mailserver",
            doc="Mail for a name goes to a host.",
            pairs=_pairs((["hostname"], ["hostname"])),
            details={"preference": int, "ttl": int},
            spiderfoot="DOMAIN_NAME > PROVIDER_MAIL",
        ),
        RelationType(
            name="reverse_resolves_to",
            doc="An address has a PTR record.",
            pairs=_pairs((["ip_address"], ["hostname"])),
            details={"ttl": int},
            spiderfoot="IP_ADDRESS > INTERNET_NAME",
        ),
        RelationType(
            name="part_of",
            doc="A thing lies within a larger one.",
            pairs=_pairs(
                (["hostname"], ["domain"]),
                (["ip_address", "netblock"], ["netblock"]),
                (["url"], ["hostname", "ip_address"]),
                (["email_address"], ["hostname"]),
                (["organization"], ["organization"]),
            ),
            stix="belongs-to",
            spiderfoot="DOMAIN_NAME > INTERNET_NAME",
        ),
        RelationType(
            name="announced_by",
            doc="A network is announced by an autonomous system.",
            pairs=_pairs((["netblock"], ["asn"])),
            stix="belongs-to",
            spiderfoot="NETBLOCK_MEMBER > BGP_AS_MEMBER",
        ),
        RelationType(
            name="exposes",
            doc="An address, or a name at it, has an open port.",
            pairs=_pairs((["ip_address", "hostname"], ["service"])),
            spiderfoot="IP_ADDRESS > TCP_PORT_OPEN",
        ),
        RelationType(
            name="serves",
            doc="A service answers for a name or with a page; ``sni`` and ``host`` are the names asked for.",
            pairs=_pairs((["service"], ["hostname", "url"])),
            qualifiers={"sni": host, "host": host},
            spiderfoot="TCP_PORT_OPEN > LINKED_URL_INTERNAL",
        ),
        RelationType(
            name="presents",
            doc="A service shows a certificate to who asks for ``sni``, or for no name.",
            pairs=_pairs((["service"], ["certificate"])),
            qualifiers={"sni": host},
            details={"position": int},
            spiderfoot="INTERNET_NAME > SSL_CERTIFICATE_RAW",
        ),
        RelationType(
            name="covers_name",
            doc="A certificate is for a name; ``wildcard`` when it is for every name one level below.",
            pairs=_pairs((["certificate"], ["hostname", "ip_address", "email_address"])),
            qualifiers={"wildcard": _yes},
            details={"field": str},
            spiderfoot="SSL_CERTIFICATE_RAW > INTERNET_NAME",
        ),
        RelationType(
            name="issued_by",
            doc="A certificate was signed by an organisation or with another certificate.",
            pairs=_pairs((["certificate"], ["organization", "certificate"])),
            spiderfoot="SSL_CERTIFICATE_RAW > SSL_CERTIFICATE_ISSUER",
        ),
        RelationType(
            name="runs",
            doc="A thing is made with, or hosted on, software, hardware or a product.",
            pairs=_pairs(
                (["service", "url", "hostname", "ip_address", "cloud_resource", "mobile_app", "file"], ["technology"])
            ),
            details={"evidence": str},
            spiderfoot="INTERNET_NAME > WEBSERVER_TECHNOLOGY",
        ),
        RelationType(
            name="links_to",
            doc="A page names another place; ``element`` says by what: anchor, script, form, redirect, policy …",
            pairs=_pairs((["url"], ["url", "hostname", "ip_address"])),
            qualifiers={"element": lambda text: token(text, "an element")},
            details={"text": str},
            spiderfoot="LINKED_URL_INTERNAL > LINKED_URL_EXTERNAL",
        ),
        RelationType(
            name="registered_as",
            doc="A registry holds a registration of it.",
            pairs=_pairs((["hostname", "netblock", "asn", "ip_address"], ["registration"])),
            spiderfoot="DOMAIN_NAME > DOMAIN_WHOIS",
        ),
        RelationType(
            name="has_contact",
            doc="Who to reach about it, in a role: registrant, administrative, technical, abuse, registrar, security …",
            pairs=_pairs(
                (["registration", "organization", "hostname", "netblock", "asn", "url"], [*_PEOPLE, "url"]),
            ),
            qualifiers={"role": _role},
            required=frozenset({"role"}),
            spiderfoot="DOMAIN_WHOIS > EMAILADDR",
        ),
        RelationType(
            name="operated_by",
            doc="An asset is run by an organisation, in a role where one is known: registrar, hosting, carrier …",
            pairs=_pairs((_ASSETS, ["organization"]), (["phone_number", "email_address"], ["organization"])),
            qualifiers={"role": _role},
            spiderfoot="INTERNET_NAME > COMPANY_NAME",
        ),
        RelationType(
            name="controls",
            doc="Somebody holds an account, a mailbox, a name, a key or a repository.",
            pairs=_pairs(
                (
                    _PEOPLE,
                    [
                        *("account", "email_address", "phone_number", "username", "person", "hostname", "url"),
                        *("code_repository", "mobile_app", "crypto_address", "crypto_key", "cloud_tenant"),
                        *("cloud_resource", "payment_instrument", "identifier"),
                    ],
                ),
                (["hostname"], ["account"]),
                (["cloud_tenant"], ["hostname"]),
            ),
            spiderfoot="USERNAME > ACCOUNT_EXTERNAL_OWNED",
        ),
        RelationType(
            name="member_of",
            doc="Somebody belongs to an organisation or a group.",
            pairs=_pairs((["person", "account"], ["organization", "account"])),
            details={"title": str},
            spiderfoot="HUMAN_NAME > JOB_TITLE",
        ),
        RelationType(
            name="located_at",
            doc="A thing is at a place, or registered there; ``basis`` tells which: registered, measured, stated …",
            pairs=_pairs((_ALL - {"location"}, ["location"])),
            qualifiers={"basis": lambda text: token(text, "a basis")},
            stix="located-at",
            spiderfoot="IP_ADDRESS > GEOINFO",
        ),
        RelationType(
            name="leaked_in",
            doc="A mailbox, handle or secret is in a leak.",
            pairs=_pairs(
                (
                    [*_PEOPLE, "credential", "payment_instrument", "hostname", "url"],
                    ["breach", "publication"],
                )
            ),
            spiderfoot="EMAILADDR > EMAILADDR_COMPROMISED",
        ),
        RelationType(
            name="affected_by",
            doc="A weakness is said to be in it.",
            pairs=_pairs((["technology", "service", "ip_address", "hostname", "url", "mobile_app"], ["vulnerability"])),
            stix="has",
            spiderfoot="IP_ADDRESS > VULNERABILITY_CVE_HIGH",
        ),
        RelationType(
            name="mentions",
            doc="A text, page, record or repository has it in its content.",
            pairs=_pairs((_TEXTS, _ALL)),
            details={"offset": int, "context": str},
            spiderfoot="LINKED_URL_INTERNAL > EMAILADDR",
        ),
        RelationType(
            name="same_as",
            doc="Two keys are of one thing, or may be.",
            pairs=frozenset((name, name) for name in _ALL),
            details={"reason": str},
            stix="duplicate-of",
        ),
        RelationType(
            name="has_record",
            doc="A record of the DNS is at or below a name that it belongs to.",
            pairs=_pairs((["hostname"], ["dns_record"])),
            details={"ttl": int},
            spiderfoot="DOMAIN_NAME > RAW_DNS_RECORDS",
        ),
        RelationType(
            name="uses",
            doc="A thing carries a tracker, fingerprint, key or a place at a cloud provider.",
            pairs=_pairs((_ALL, ["web_tracker", "fingerprint", "cloud_tenant", "cloud_resource", "crypto_key"])),
            spiderfoot="LINKED_URL_INTERNAL > WEB_ANALYTICS_ID",
        ),
    )
}


def relation(
    type: str,
    source: Entity,
    target: Entity,
    *,
    qualifiers: Mapping[str, str] = _NONE,
    details: Mapping[str, str | int | None] = _NONE,
) -> Relation:
    """The relation of a type between two entities; qualifiers that are empty and details that are None are left out.

    Raises `OutsideVocabulary` when the type does not join such entities or has no such qualifier or detail, and
    `Malformed` for a qualifier without a normal form.
    """
    known = RELATION_TYPES.get(type)
    if known is None:
        raise OutsideVocabulary(f"{shown(type)} is not a type of relation")
    if (source.type, target.type) not in known.pairs:
        raise OutsideVocabulary(f"{type} does not join a {source.type} to a {target.type}")
    return Relation(
        type,
        source,
        target,
        _qualified(known, qualifiers) if qualifiers or known.required else {},
        _described(known, details) if details else {},
    )


def _qualified(known: RelationType, qualifiers: Mapping[str, str]) -> dict[str, str]:
    normal: dict[str, str] = {}
    for name, text in qualifiers.items():
        form = known.qualifiers.get(name)
        if form is None:
            raise OutsideVocabulary(f"{known.name} has no qualifier {shown(name)}")
        if text:
            normal[name] = form(text)
    for name in known.required:
        if name not in normal:
            raise OutsideVocabulary(f"{known.name} needs the qualifier {name}")
    return normal


def _described(known: RelationType, details: Mapping[str, str | int | None]) -> dict[str, str | int]:
    plain: dict[str, str | int] = {}
    for name, value in details.items():
        expected = known.details.get(name)
        if expected is None:
            raise OutsideVocabulary(f"{known.name} has no detail {shown(name)}")
        if value is None or value == "":
            continue
        if value.__class__ is not expected:
            raise OutsideVocabulary(f"the detail {name} of {known.name} is of type {expected.__name__}")
        plain[name] = line(value, f"the detail {name}", limit=1024) if isinstance(value, str) else value
    return plain
