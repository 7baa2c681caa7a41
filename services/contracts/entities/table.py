"""The table of entity types: key parts, normal form, and what each is called elsewhere."""

from collections.abc import Callable

import msgspec

from services.contracts.claims import Entity, OutsideVocabulary
from services.contracts.entities import addresses, dns, exposure, money, people, urls, web
from services.contracts.names import shown


class EntityType(msgspec.Struct, frozen=True, kw_only=True):
    """One type: ``parts`` of its key (a trailing ``?`` marks one that may be left out) and its names elsewhere.

    ``stix`` is a STIX 2.1 object, one of OpenCTI's or an ``x-`` extension; ``spiderfoot`` are event types;
    ``misp`` is an attribute type, or empty where MISP has none.
    """

    name: str
    parts: tuple[str, ...]
    doc: str
    stix: str
    spiderfoot: tuple[str, ...] = ()
    misp: str = ""
    normalise: Callable[..., tuple[str, ...]]

    def key(self, *parts: str) -> tuple[str, ...]:
        """The normal form of a key given in parts; raises `Malformed`."""
        least = sum(not part.endswith("?") for part in self.parts)
        if not least <= len(parts) <= len(self.parts):
            raise OutsideVocabulary(f"the key of a {self.name} is ({', '.join(self.parts)}), not {len(parts)} parts")
        return self.normalise(*parts)


def entity(type: str, *parts: str) -> Entity:
    """The entity of a type by the parts of its key, in normal form; raises `Malformed`."""
    known = ENTITY_TYPES.get(type)
    if known is None:
        raise OutsideVocabulary(f"{shown(type)} is not a type of entity")
    return Entity(type, known.key(*parts))


def _table(*types: EntityType) -> dict[str, EntityType]:
    return {entity_type.name: entity_type for entity_type in types}


ENTITY_TYPES: dict[str, EntityType] = _table(
    EntityType(
        name="domain",
        parts=("name",),
        doc="A registrable name, below a public suffix.",
        stix="domain-name",
        spiderfoot=("DOMAIN_NAME", "DOMAIN_NAME_PARENT"),
        misp="domain",
        normalise=dns.domain_key,
    ),
    EntityType(
        name="hostname",
        parts=("name",),
        doc="A name below a registrable one.",
        stix="domain-name",
        spiderfoot=("INTERNET_NAME", "INTERNET_NAME_UNRESOLVED"),
        misp="hostname",
        normalise=dns.hostname_key,
    ),
    EntityType(
        name="ip_address",
        parts=("address",),
        doc="An IPv4 or IPv6 address.",
        stix="ipv4-addr|ipv6-addr",
        spiderfoot=("IP_ADDRESS", "IPV6_ADDRESS", "INTERNAL_IP_ADDRESS"),
        misp="ip-dst",
        normalise=lambda text: (addresses.address(text),),
    ),
    EntityType(
        name="netblock",
        parts=("cidr",),
        doc="A network.",
        stix="ipv4-addr|ipv6-addr",
        spiderfoot=("NETBLOCK_OWNER", "NETBLOCK_MEMBER", "NETBLOCKV6_OWNER", "NETBLOCKV6_MEMBER"),
        misp="ip-dst",
        normalise=addresses.netblock_key,
    ),
    EntityType(
        name="asn",
        parts=("number",),
        doc="An autonomous system.",
        stix="autonomous-system",
        spiderfoot=("BGP_AS_OWNER", "BGP_AS_MEMBER"),
        misp="AS",
        normalise=addresses.asn_key,
    ),
    EntityType(
        name="dns_record",
        parts=("owner", "type", "rdata"),
        doc="A record of the DNS as it was published.",
        stix="x-dns-record",
        spiderfoot=("RAW_DNS_RECORDS", "DNS_TEXT", "DNS_SPF", "DNS_SRV"),
        normalise=dns.dns_record_key,
    ),
    EntityType(
        name="service",
        parts=("address", "transport", "port"),
        doc="A transport port that answers on an address.",
        stix="network-traffic",
        spiderfoot=("TCP_PORT_OPEN", "UDP_PORT_OPEN"),
        misp="ip-dst|port",
        normalise=addresses.service_key,
    ),
    EntityType(
        name="mac_address",
        parts=("address",),
        doc="The hardware address of a network interface.",
        stix="mac-addr",
        misp="mac-address",
        normalise=addresses.mac_address_key,
    ),
    EntityType(
        name="wifi_network",
        parts=("scheme", "id", "position?"),
        doc="A wireless network by access point, or by name and place.",
        stix="x-wifi-network",
        spiderfoot=("WIFI_ACCESS_POINT",),
        normalise=addresses.wifi_network_key,
    ),
    EntityType(
        name="url",
        parts=("url",),
        doc="A place on a server.",
        stix="url",
        spiderfoot=("LINKED_URL_INTERNAL", "LINKED_URL_EXTERNAL"),
        misp="url",
        normalise=urls.url_key,
    ),
    EntityType(
        name="certificate",
        parts=("sha256",),
        doc="An X.509 certificate.",
        stix="x509-certificate",
        spiderfoot=("SSL_CERTIFICATE_RAW",),
        misp="x509-fingerprint-sha256",
        normalise=web.certificate_key,
    ),
    EntityType(
        name="technology",
        parts=("name", "version?"),
        doc="Software or hardware, by CPE or by name and version.",
        stix="software",
        spiderfoot=("WEBSERVER_TECHNOLOGY", "SOFTWARE_USED", "OPERATING_SYSTEM"),
        misp="cpe",
        normalise=web.technology_key,
    ),
    EntityType(
        name="web_tracker",
        parts=("kind", "id"),
        doc="An analytics or advertising account that pages carry.",
        stix="x-web-tracker",
        spiderfoot=("WEB_ANALYTICS_ID",),
        normalise=web.web_tracker_key,
    ),
    EntityType(
        name="fingerprint",
        parts=("algorithm", "value"),
        doc="How a server or a page looks to an algorithm.",
        stix="x-fingerprint",
        misp="jarm-fingerprint|favicon-mmh3|hassh-md5",
        normalise=web.fingerprint_key,
    ),
    EntityType(
        name="cloud_resource",
        parts=("provider", "kind", "name"),
        doc="A bucket, application or endpoint at a cloud provider.",
        stix="infrastructure",
        spiderfoot=("CLOUD_STORAGE_BUCKET",),
        normalise=web.cloud_resource_key,
    ),
    EntityType(
        name="cloud_tenant",
        parts=("provider", "id"),
        doc="A customer of a cloud provider.",
        stix="identity",
        normalise=web.cloud_tenant_key,
    ),
    EntityType(
        name="mobile_app",
        parts=("store", "bundle"),
        doc="An application in a store.",
        stix="software",
        spiderfoot=("APPSTORE_ENTRY",),
        misp="mobile-application-id",
        normalise=web.mobile_app_key,
    ),
    EntityType(
        name="code_repository",
        parts=("forge", "path"),
        doc="A repository of source code.",
        stix="x-code-repository",
        spiderfoot=("PUBLIC_CODE_REPO",),
        misp="github-repository",
        normalise=web.code_repository_key,
    ),
    EntityType(
        name="file",
        parts=("algorithm", "digest"),
        doc="A file by its strongest known digest.",
        stix="file",
        spiderfoot=("INTERESTING_FILE", "HASH"),
        misp="sha256",
        normalise=web.file_key,
    ),
    EntityType(
        name="email_address",
        parts=("address",),
        doc="A mailbox.",
        stix="email-addr",
        spiderfoot=("EMAILADDR", "EMAILADDR_GENERIC"),
        misp="email",
        normalise=people.email_address_key,
    ),
    EntityType(
        name="phone_number",
        parts=("number",),
        doc="An international phone number.",
        stix="phone-number",
        spiderfoot=("PHONE_NUMBER",),
        misp="phone-number",
        normalise=people.phone_number_key,
    ),
    EntityType(
        name="username",
        parts=("handle",),
        doc="A handle that no platform is known for.",
        stix="user-account",
        spiderfoot=("USERNAME",),
        misp="text",
        normalise=people.username_key,
    ),
    EntityType(
        name="account",
        parts=("platform", "handle"),
        doc="An account on a platform.",
        stix="user-account",
        spiderfoot=("ACCOUNT_EXTERNAL_OWNED", "SOCIAL_MEDIA"),
        misp="github-username",
        normalise=people.account_key,
    ),
    EntityType(
        name="person",
        parts=("source", "handle"),
        doc="A human being as one source knows them.",
        stix="identity",
        spiderfoot=("HUMAN_NAME",),
        misp="full-name",
        normalise=people.person_key,
    ),
    EntityType(
        name="organization",
        parts=("scheme", "id", "country?"),
        doc="An organisation by register id, else by name and country.",
        stix="identity",
        spiderfoot=("COMPANY_NAME", "PROVIDER_HOSTING", "PROVIDER_TELCO", "DOMAIN_REGISTRAR"),
        misp="target-org",
        normalise=people.organization_key,
    ),
    EntityType(
        name="location",
        parts=("kind", "value", "country?"),
        doc="A place by ISO 3166 code, geohash, or text and country.",
        stix="location",
        spiderfoot=("COUNTRY_NAME", "GEOINFO", "PHYSICAL_ADDRESS", "PHYSICAL_COORDINATES"),
        normalise=people.location_key,
    ),
    EntityType(
        name="identifier",
        parts=("scheme", "value"),
        doc="A number that a register gave.",
        stix="x-identifier",
        spiderfoot=("LEI",),
        normalise=people.identifier_key,
    ),
    EntityType(
        name="crypto_address",
        parts=("chain", "address"),
        doc="An address on a chain.",
        stix="cryptocurrency-wallet",
        spiderfoot=("BITCOIN_ADDRESS", "ETHEREUM_ADDRESS"),
        misp="btc|xmr|dash",
        normalise=money.crypto_address_key,
    ),
    EntityType(
        name="payment_instrument",
        parts=("kind", "value", "hmac?"),
        doc="A bank account, or a payment card whose number is masked.",
        stix="bank-account|payment-card",
        spiderfoot=("IBAN_NUMBER", "CREDIT_CARD_NUMBER"),
        misp="iban|cc-number",
        normalise=money.payment_instrument_key,
    ),
    EntityType(
        name="transaction",
        parts=("chain", "hash"),
        doc="A transaction on a chain.",
        stix="x-transaction",
        normalise=money.transaction_key,
    ),
    EntityType(
        name="registration",
        parts=("registry", "handle"),
        doc="What a registry holds of a domain, network or system.",
        stix="x-registration",
        spiderfoot=("DOMAIN_WHOIS", "NETBLOCK_WHOIS", "RAW_RIR_DATA"),
        misp="whois-registrar",
        normalise=people.registration_key,
    ),
    EntityType(
        name="vulnerability",
        parts=("id",),
        doc="A published weakness.",
        stix="vulnerability",
        spiderfoot=(
            "VULNERABILITY_CVE_CRITICAL",
            "VULNERABILITY_CVE_HIGH",
            "VULNERABILITY_CVE_MEDIUM",
            "VULNERABILITY_CVE_LOW",
            "VULNERABILITY_GENERAL",
        ),
        misp="vulnerability",
        normalise=exposure.vulnerability_key,
    ),
    EntityType(
        name="breach",
        parts=("publisher", "name"),
        doc="A leak of data, as its publisher names it.",
        stix="incident",
        spiderfoot=("EMAILADDR_COMPROMISED",),
        normalise=exposure.breach_key,
    ),
    EntityType(
        name="credential",
        parts=("kind", "hmac"),
        doc="A secret that leaked, never kept itself.",
        stix="credential",
        spiderfoot=("PASSWORD_COMPROMISED", "HASH_COMPROMISED"),
        normalise=exposure.credential_key,
    ),
    EntityType(
        name="crypto_key",
        parts=("kind", "fingerprint"),
        doc="A public key.",
        stix="cryptographic-key",
        spiderfoot=("PGP_KEY",),
        misp="pgp-public-key|ssh-fingerprint",
        normalise=exposure.crypto_key_key,
    ),
    EntityType(
        name="publication",
        parts=("url", "sha256?"),
        doc="A text published at a URL.",
        stix="note",
        spiderfoot=("LEAKSITE_URL", "DARKNET_MENTION_URL", "WIKIPEDIA_PAGE_EDIT"),
        misp="link",
        normalise=exposure.publication_key,
    ),
)
