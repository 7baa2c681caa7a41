"""Each type of event that the vocabulary names, from facts that make it: its text, who says it, what it comes from."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from services.contracts import entities as e
from services.contracts.attributes import ATTRIBUTES
from services.contracts.entities import ENTITY_TYPES
from services.contracts.relations import RELATION_TYPES
from services.correlation.domain.spiderfoot.descriptors import DESCRIBING
from services.correlation.domain.spiderfoot.event_types import EVENT_TYPES
from services.correlation.domain.spiderfoot.needs import Needs
from tests.services.correlation.spiderfoot.scan import DAY, DOMAIN, NOW, Scan, line_of

WWW = e.name("www.example.org")
OTHER = e.name("www.example.net")
OTHER_DOMAIN = e.name("example.net")
IP = e.ip_address("203.0.113.7")
IP6 = e.ip_address("2001:db8::7")
BLOCK, BLOCK6 = e.netblock("203.0.113.0/24"), e.netblock("2001:db8::/32")
ASN = e.asn(64500)
PORT = e.service("203.0.113.7", "tcp", 22)
URL, ELSEWHERE = e.url("https://www.example.org/"), e.url("https://www.example.net/x.js")
DIGEST = sha256(b"").hexdigest()
CERTIFICATE = e.certificate(DIGEST)
MAIL = e.email_address("info@example.org")
PHONE = e.phone_number("+4930123456")
PERSON = e.person("rdap", "ann-1")
ORGANIZATION = e.organization("name", "Example GmbH", "DE")
REGISTRATION = e.registration("verisign", "EXAMPLE.ORG")
BUCKET = e.cloud_resource("aws", "bucket", "example-data")
PASTE, ONION = e.publication("https://paste.example.com/1"), e.publication("http://abcdef.onion/1")
FILE = e.file(DIGEST)

D = "DOMAIN_NAME example.org"
U = "LINKED_URL_INTERNAL https://www.example.org/"
IPS = "IP_ADDRESS 203.0.113.7"
S3 = "example-data.s3.amazonaws.com"
SSH = "TCP_PORT_OPEN 203.0.113.7:22"

Plant = Callable[[Scan], object]


def on(entity: e.Entity, role: str = "in_scope", **values: object) -> Plant:
    """The entity, found at the target, with attributes."""
    return lambda scan: scan.thing(entity, role=role, **values)  # type: ignore[arg-type]


def at(source: e.Entity, type: str, target: e.Entity, **more: str) -> Plant:
    """A relation of what was found at the target."""

    def plant(scan: Scan) -> None:
        if source is not scan.target:
            scan.thing(source)
        scan.join(source, type, target, **more)

    return plant


def both(*plants: Plant) -> Plant:
    def plant(scan: Scan) -> None:
        for each in plants:
            each(scan)

    return plant


def described(entity: e.Entity, **values: object) -> Plant:
    return lambda scan: scan.describe(entity, **values)  # type: ignore[arg-type]


def certificate(days: int) -> Plant:
    """A certificate that a server shows, and that ends so many days from now."""

    def plant(scan: Scan) -> None:
        scan.thing(WWW)
        scan.join(e.service("203.0.113.7", "tcp", 443), "presents", CERTIFICATE, "tls_certificate", WWW, sni=WWW.value)
        scan.describe(CERTIFICATE, "tls_certificate", WWW, subject="CN=www", issuer="CN=CA", not_after=NOW + days * DAY)

    return plant


#: Facts, and lines that are among the events.
CASES: dict[str, tuple[Plant, list[str]]] = {
    "hostname": (on(WWW), [f"{D} > INTERNET_NAME www.example.org"]),
    "unresolved": (on(WWW, resolution="unresolved"), [f"{D} > INTERNET_NAME_UNRESOLVED www.example.org"]),
    "affiliate": (on(OTHER, "affiliate"), [f"{D} > AFFILIATE_INTERNET_NAME www.example.net"]),
    "affiliate unresolved": (
        on(OTHER, "affiliate", resolution="unresolved"),
        [f"{D} > AFFILIATE_INTERNET_NAME_UNRESOLVED www.example.net"],
    ),
    "co-hosted": (on(OTHER, "co_hosted"), [f"{D} > CO_HOSTED_SITE www.example.net"]),
    "similar": (on(OTHER_DOMAIN, "similar"), [f"{D} > SIMILARDOMAIN example.net"]),
    "affiliate domain": (on(OTHER_DOMAIN, "affiliate"), [f"{D} > AFFILIATE_DOMAIN_NAME example.net"]),
    "co-hosted domain": (on(OTHER_DOMAIN, "co_hosted"), [f"{D} > CO_HOSTED_SITE_DOMAIN example.net"]),
    "affiliate domain with an address": (
        both(on(OTHER_DOMAIN, "affiliate"), lambda scan: scan.join(OTHER_DOMAIN, "resolves_to", IP, record="A")),
        [
            f"{D} > AFFILIATE_INTERNET_NAME example.net",
            "AFFILIATE_DOMAIN_NAME example.net > AFFILIATE_IPADDR 203.0.113.7",
        ],
    ),
    "resolves_to": (
        both(on(WWW), at(WWW, "resolves_to", IP, record="A"), at(WWW, "resolves_to", IP6, record="AAAA")),
        [f"INTERNET_NAME www.example.org > {IPS}", "INTERNET_NAME www.example.org > IPV6_ADDRESS 2001:db8::7"],
    ),
    "internal": (
        at(WWW, "resolves_to", e.ip_address("192.168.1.7"), record="A"),
        ["INTERNET_NAME www.example.org > INTERNAL_IP_ADDRESS 192.168.1.7"],
    ),
    "affiliate address": (on(IP6, "affiliate"), [f"{D} > AFFILIATE_IPV6_ADDRESS 2001:db8::7"]),
    "alias_of": (
        at(WWW, "alias_of", OTHER, record="CNAME"),
        ["INTERNET_NAME www.example.org > AFFILIATE_INTERNET_NAME www.example.net"],
    ),
    "takeover": (
        on(WWW, takeover_candidate="Heroku"),
        ["INTERNET_NAME www.example.org > AFFILIATE_INTERNET_NAME_HIJACKABLE www.example.org"],
    ),
    "uses_nameserver": (at(DOMAIN, "uses_nameserver", OTHER), [f"{D} > PROVIDER_DNS www.example.net"]),
    "uses_mailserver": (at(DOMAIN, "uses_mailserver", OTHER), [f"{D} > PROVIDER_MAIL www.example.net"]),
    "reverse_resolves_to": (
        both(lambda scan: scan.place(WWW, "in_scope"), at(IP, "reverse_resolves_to", WWW)),
        [f"{IPS} > INTERNET_NAME www.example.org"],
    ),
    "open zone transfer": (
        described(DOMAIN, open_zone_transfer="192.0.2.53"),
        [f"{D} > VULNERABILITY_DISCLOSURE example.org: 192.0.2.53 hands out the whole zone"],
    ),
    "mail": (
        described(DOMAIN, soa_mailbox="dns@example.org", mail_provider="Mailbox Ltd", spf_policy="-all"),
        [f"{D} > EMAILADDR dns@example.org", f"{D} > PROVIDER_MAIL Mailbox Ltd", f"{D} > DNS_SPF -all"],
    ),
    "verification": (described(DOMAIN, provider_verification="Google"), [f"{D} > DNS_TEXT Google"]),
    "name server": (described(DOMAIN, name_server_software="BIND 9.18"), [f"{D} > SOFTWARE_USED BIND 9.18"]),
    "netblock": (
        both(at(IP, "part_of", BLOCK), at(IP6, "part_of", BLOCK6)),
        [f"{IPS} > NETBLOCK_MEMBER 203.0.113.0/24", "IPV6_ADDRESS 2001:db8::7 > NETBLOCKV6_MEMBER 2001:db8::/32"],
    ),
    "own netblock": (
        both(on(BLOCK), on(BLOCK6)),
        [f"{D} > NETBLOCK_OWNER 203.0.113.0/24", f"{D} > NETBLOCKV6_OWNER 2001:db8::/32"],
    ),
    "announced_by": (at(BLOCK, "announced_by", ASN), ["NETBLOCK_OWNER 203.0.113.0/24 > BGP_AS_MEMBER 64500"]),
    "own asn": (on(ASN), [f"{D} > BGP_AS_OWNER 64500"]),
    "records": (
        both(
            at(DOMAIN, "has_record", e.dns_record("example.org", "TXT", '"v=spf1 -all"')),
            at(DOMAIN, "has_record", e.dns_record("_sip._tcp.example.org", "SRV", "0 5 5060 sip.example.org.")),
        ),
        [
            f'{D} > RAW_DNS_RECORDS example.org IN TXT "v=spf1 -all"',
            f"{D} > DNS_TEXT v=spf1 -all",
            f"{D} > DNS_SPF v=spf1 -all",
            f"{D} > DNS_SRV 0 5 5060 sip.example.org",
        ],
    ),
    "exposes": (
        both(at(IP, "exposes", PORT), described(PORT, banner="SSH-2.0", product="OpenSSH 9")),
        [f"{IPS} > {SSH}", f"{SSH} > TCP_PORT_OPEN_BANNER SSH-2.0", f"{SSH} > SOFTWARE_USED OpenSSH 9"],
    ),
    "udp": (
        both(
            at(IP6, "exposes", e.service("2001:db8::7", "udp", 53)),
            described(e.service("2001:db8::7", "udp", 53), banner="x"),
        ),
        [
            "IPV6_ADDRESS 2001:db8::7 > UDP_PORT_OPEN [2001:db8::7]:53",
            "UDP_PORT_OPEN [2001:db8::7]:53 > UDP_PORT_OPEN_INFO x",
        ],
    ),
    "machines": (
        on(IP, operating_system="Linux", device_type="router", country="DE", anonymiser=["tor", "vpn", "proxy"]),
        [
            f"{IPS} > OPERATING_SYSTEM Linux",
            f"{IPS} > DEVICE_TYPE router",
            f"{IPS} > COUNTRY_NAME DE",
            f"{IPS} > TOR_EXIT_NODE 203.0.113.7",
            f"{IPS} > VPN_HOST 203.0.113.7",
            f"{IPS} > PROXY_HOST 203.0.113.7",
        ],
    ),
    "coordinates of an address": (
        on(IP, latitude=52.5, longitude=13.4),
        [f"{IPS} > PHYSICAL_COORDINATES 52.5,13.4"],
    ),
    "wifi": (on(e.wifi_network("00:11:22:33:44:55")), [f"{D} > WIFI_ACCESS_POINT bssid:00:11:22:33:44:55"]),
    "serves": (
        lambda scan: scan.join(scan.thing(PORT), "serves", scan.place(URL, "in_scope"), subject=b"unknown"),
        [f"{SSH} > {U}"],
    ),
    "links_to": (
        both(on(URL), lambda scan: scan.join(URL, "links_to", ELSEWHERE, element="script")),
        [f"{U} > LINKED_URL_EXTERNAL https://www.example.net/x.js", f"{U} > PROVIDER_JAVASCRIPT www.example.net"],
    ),
    "document": (
        at(URL, "links_to", e.url("https://www.example.org/a.pdf"), element="document"),
        [f"{U} > INTERESTING_FILE https://www.example.org/a.pdf"],
    ),
    "pages": (
        on(
            URL,
            http_status=404,
            server="nginx",
            powered_by="PHP/8",
            generator="Hugo",
            header="x-a: b",
            cookie="sid; secure",
            mime_type="text/html",
            login_form=True,
            upload_form=True,
            form_target="/x",
            error_page="Traceback",
        ),
        [
            f"{U} > HTTP_CODE 404",
            f"{U} > WEBSERVER_BANNER nginx",
            f"{U} > WEBSERVER_TECHNOLOGY PHP/8",
            f"{U} > WEBSERVER_TECHNOLOGY Hugo",
            f"{U} > WEBSERVER_HTTPHEADERS x-a: b",
            f"{U} > TARGET_WEB_COOKIE sid; secure",
            f"{U} > TARGET_WEB_CONTENT_TYPE text/html",
            f"{U} > URL_PASSWORD https://www.example.org/",
            f"{U} > URL_UPLOAD https://www.example.org/",
            f"{U} > URL_FORM https://www.example.org/",
            f"{U} > ERROR_MESSAGE Traceback",
        ],
    ),
    "runs": (
        both(
            at(URL, "runs", e.technology("Hugo", "1.0")),
            at(IP, "runs", e.technology("OpenSSH", "9")),
            at(IP, "runs", e.technology("cpe:2.3:o:linux:linux_kernel:6.1:*:*:*:*:*:*:*")),
        ),
        [f"{IPS} > OPERATING_SYSTEM cpe:2.3:o:linux:linux_kernel:6.1:*:*:*:*:*:*:*"],
    ),
    "uses": (at(URL, "uses", e.web_tracker("google_analytics", "UA-1-2")), [f"{U} > WEB_ANALYTICS_ID "]),
    "linked bucket": (
        both(at(URL, "uses", BUCKET), described(BUCKET, public_access=True)),
        [
            f"{U} > LINKED_URL_EXTERNAL https://{S3}/",
            f"LINKED_URL_EXTERNAL https://{S3}/ > CLOUD_STORAGE_BUCKET {S3}",
            f"CLOUD_STORAGE_BUCKET {S3} > CLOUD_STORAGE_BUCKET_OPEN ",
        ],
    ),
    "found bucket": (on(BUCKET), [f"{D} > CLOUD_STORAGE_BUCKET {S3}"]),
    "presents": (
        certificate(days=-1),
        [
            f"INTERNET_NAME www.example.org > SSL_CERTIFICATE_RAW {DIGEST}",
            "INTERNET_NAME www.example.org > SSL_CERTIFICATE_ISSUED CN=www",
            "INTERNET_NAME www.example.org > SSL_CERTIFICATE_ISSUER CN=CA",
            "INTERNET_NAME www.example.org > SSL_CERTIFICATE_EXPIRED 2024-10-03",
        ],
    ),
    "expiring": (certificate(days=29), ["INTERNET_NAME www.example.org > SSL_CERTIFICATE_EXPIRING 2024-11-02"]),
    "issued_by": (
        at(CERTIFICATE, "issued_by", e.organization("name", "Example CA")),
        [f"SSL_CERTIFICATE_RAW {DIGEST} > SSL_CERTIFICATE_ISSUER example ca"],
    ),
    "mismatch": (
        both(at(IP, "exposes", PORT), described(PORT, trust_error="hostname mismatch")),
        [f"{SSH} > SSL_CERTIFICATE_MISMATCH hostname mismatch"],
    ),
    "mailboxes": (
        both(on(MAIL, disposable=True, accepts_mail=True), on(e.email_address("a@example.org"), accepts_mail=False)),
        [
            f"{D} > EMAILADDR info@example.org",
            "EMAILADDR info@example.org > EMAILADDR_DISPOSABLE info@example.org",
            "EMAILADDR info@example.org > EMAILADDR_DELIVERABLE info@example.org",
            "EMAILADDR a@example.org > EMAILADDR_UNDELIVERABLE a@example.org",
        ],
    ),
    "generic mailbox": (on(MAIL, generic_mailbox=True), [f"{D} > EMAILADDR_GENERIC info@example.org"]),
    "affiliate mailbox": (
        on(e.email_address("a@example.net"), "affiliate"),
        [f"{D} > AFFILIATE_EMAILADDR a@example.net"],
    ),
    "phone": (
        on(PHONE, line_type="mobile", carrier="Telco", numbering_area="Berlin"),
        [
            f"{D} > PHONE_NUMBER +4930123456",
            "PHONE_NUMBER +4930123456 > PHONE_NUMBER_TYPE mobile",
            "PHONE_NUMBER +4930123456 > PROVIDER_TELCO Telco",
            "PHONE_NUMBER +4930123456 > GEOINFO Berlin",
        ],
    ),
    "controls": (
        at(e.username("ann"), "controls", e.account("github", "ann")),
        [f"{D} > USERNAME ann", "USERNAME ann > ACCOUNT_EXTERNAL_OWNED github: ann"],
    ),
    "account": (
        on(e.account("github", "ann"), display_name="Ann B", place="Berlin", biography="Codes."),
        [
            "ACCOUNT_EXTERNAL_OWNED github: ann > HUMAN_NAME Ann B",
            "ACCOUNT_EXTERNAL_OWNED github: ann > GEOINFO Berlin",
            "ACCOUNT_EXTERNAL_OWNED github: ann > DESCRIPTION_ABSTRACT Codes.",
        ],
    ),
    "similar account": (on(e.account("x", "ann"), "similar"), [f"{D} > SIMILAR_ACCOUNT_EXTERNAL x: ann"]),
    "mentions": (at(URL, "mentions", e.account("mastodon", "ann@m.example")), [f"{U} > SOCIAL_MEDIA mastodon: "]),
    "mention of mail": (at(URL, "mentions", MAIL), [f"{U} > AFFILIATE_EMAILADDR info@example.org"]),
    "registered_as": (
        both(at(DOMAIN, "registered_as", REGISTRATION), described(REGISTRATION, registrar="Registrar Inc")),
        [
            f"{D} > DOMAIN_WHOIS verisign:EXAMPLE.ORG",
            "DOMAIN_WHOIS verisign:EXAMPLE.ORG > DOMAIN_REGISTRAR Registrar Inc",
        ],
    ),
    "other registrations": (
        both(
            on(OTHER_DOMAIN, "affiliate"),
            lambda scan: scan.join(OTHER_DOMAIN, "registered_as", e.registration("verisign", "A")),
            on(BLOCK),
            lambda scan: scan.join(BLOCK, "registered_as", e.registration("ripencc", "B")),
            on(ASN),
            lambda scan: scan.join(ASN, "registered_as", e.registration("ripencc", "C")),
        ),
        [
            "AFFILIATE_DOMAIN_NAME example.net > AFFILIATE_DOMAIN_WHOIS verisign:A",
            "NETBLOCK_OWNER 203.0.113.0/24 > NETBLOCK_WHOIS ripencc:B",
            "BGP_AS_OWNER 64500 > RAW_RIR_DATA ripencc:C",
        ],
    ),
    "registrations beside": (
        both(
            on(OTHER_DOMAIN, "similar"),
            lambda scan: scan.join(OTHER_DOMAIN, "registered_as", e.registration("verisign", "A")),
            on(e.name("example.com"), "co_hosted"),
            lambda scan: scan.join(e.name("example.com"), "registered_as", e.registration("verisign", "B")),
        ),
        ["> SIMILARDOMAIN_WHOIS verisign:A", "> CO_HOSTED_SITE_DOMAIN_WHOIS verisign:B"],
    ),
    "has_contact": (
        both(
            at(DOMAIN, "registered_as", REGISTRATION),
            lambda scan: scan.join(REGISTRATION, "has_contact", scan.place(MAIL, "in_scope"), role="abuse"),
            lambda scan: scan.join(REGISTRATION, "has_contact", PERSON, role="administrative"),
            described(PERSON, given_name="Ann", family_name="B", job_title="CTO", postal_address="Street 1"),
        ),
        [
            "DOMAIN_WHOIS verisign:EXAMPLE.ORG > EMAILADDR info@example.org",
            "DOMAIN_WHOIS verisign:EXAMPLE.ORG > HUMAN_NAME Ann B",
            "HUMAN_NAME Ann B > JOB_TITLE CTO",
            "HUMAN_NAME Ann B > PHYSICAL_ADDRESS Street 1",
        ],
    ),
    "operated_by": (
        both(
            at(IP, "operated_by", e.organization("name", "Hoster"), role="hosting"),
            at(IP, "operated_by", e.organization("name", "Telco"), role="carrier"),
            at(DOMAIN, "operated_by", e.organization("name", "Registrar"), role="registrar"),
            at(DOMAIN, "operated_by", ORGANIZATION),
            described(ORGANIZATION, legal_name="Example GmbH"),
        ),
        [
            f"{IPS} > PROVIDER_HOSTING hoster",
            f"{IPS} > PROVIDER_TELCO telco",
            f"{D} > DOMAIN_REGISTRAR registrar",
            f"{D} > COMPANY_NAME Example GmbH",
        ],
    ),
    "affiliate company": (
        both(on(OTHER_DOMAIN, "affiliate"), lambda scan: scan.join(OTHER_DOMAIN, "operated_by", ORGANIZATION)),
        ["AFFILIATE_DOMAIN_NAME example.net > AFFILIATE_COMPANY_NAME example gmbh"],
    ),
    "descriptions": (
        both(
            on(WWW, category="shop", description="A shop."),
            on(OTHER, "affiliate", category="news", description="News."),
        ),
        [
            "INTERNET_NAME www.example.org > DESCRIPTION_CATEGORY shop",
            "INTERNET_NAME www.example.org > DESCRIPTION_ABSTRACT A shop.",
            "AFFILIATE_INTERNET_NAME www.example.net > AFFILIATE_DESCRIPTION_CATEGORY news",
            "AFFILIATE_INTERNET_NAME www.example.net > AFFILIATE_DESCRIPTION_ABSTRACT News.",
        ],
    ),
    "located_at": (
        both(
            at(ORGANIZATION, "located_at", e.location("country", "DE")),
            at(ORGANIZATION, "located_at", e.location("city", "Berlin", "DE")),
            at(ORGANIZATION, "located_at", e.location("address", "Street 1", "DE")),
            at(ORGANIZATION, "located_at", e.coordinates(52.5, 13.4)),
        ),
        ["> COUNTRY_NAME DE", "> GEOINFO berlin, DE", "> PHYSICAL_ADDRESS street 1, DE", "> PHYSICAL_COORDINATES u33d"],
    ),
    "identifier": (on(e.identifier("lei", "5493001KJTIIGC8Y1R12")), [f"{D} > LEI 5493001KJTIIGC8Y1R12"]),
    "chains": (
        both(
            on(e.crypto_address("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), balance="100"),
            on(e.crypto_address("ethereum", "0x00000000219ab540356cBB839Cbe05303d7705Fa"), balance="7"),
        ),
        [
            f"{D} > BITCOIN_ADDRESS 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "> BITCOIN_BALANCE 100",
            f"{D} > ETHEREUM_ADDRESS 0x00000000219ab540356cBB839Cbe05303d7705Fa",
            "> ETHEREUM_BALANCE 7",
        ],
    ),
    "money": (
        both(
            on(e.payment_instrument("iban", "DE89370400440532013000")),
            on(e.payment_instrument("card", "411111******1111", "ab" * 32)),
        ),
        [f"{D} > IBAN_NUMBER DE89370400440532013000", f"{D} > CREDIT_CARD_NUMBER 411111******1111"],
    ),
    "affected_by": (
        both(
            *(at(IP, "affected_by", e.vulnerability(f"CVE-2026-000{n}")) for n in range(1, 6)),
            *(
                described(e.vulnerability(f"CVE-2026-000{n}"), cvss=s)
                for n, s in ((1, 9.0), (2, 7.0), (3, 4.0), (4, 0.1))
            ),
        ),
        [
            f"{IPS} > VULNERABILITY_CVE_CRITICAL CVE-2026-0001",
            f"{IPS} > VULNERABILITY_CVE_HIGH CVE-2026-0002",
            f"{IPS} > VULNERABILITY_CVE_MEDIUM CVE-2026-0003",
            f"{IPS} > VULNERABILITY_CVE_LOW CVE-2026-0004",
            f"{IPS} > VULNERABILITY_GENERAL CVE-2026-0005",
        ],
    ),
    "leaked_in": (
        both(
            at(MAIL, "leaked_in", e.breach("hibp", "Adobe")),
            at(PHONE, "leaked_in", e.breach("hibp", "Adobe")),
            at(e.account("x", "ann"), "leaked_in", e.breach("hibp", "Adobe")),
            at(MAIL, "controls", e.account("x", "ann")),
        ),
        [
            "EMAILADDR info@example.org > EMAILADDR_COMPROMISED info@example.org [adobe]",
            "PHONE_NUMBER +4930123456 > PHONE_NUMBER_COMPROMISED +4930123456 [adobe]",
            "ACCOUNT_EXTERNAL_OWNED x: ann > ACCOUNT_EXTERNAL_OWNED_COMPROMISED x:ann [adobe]",
        ],
    ),
    "credentials": (
        both(on(e.credential("password", "ab" * 32)), on(e.credential("hash_md5", "cd" * 32))),
        [f"{D} > PASSWORD_COMPROMISED password:", f"{D} > HASH_COMPROMISED hash_md5:"],
    ),
    "key": (on(e.crypto_key("pgp", "AB" * 20)), [f"{D} > PGP_KEY {'AB' * 20}"]),
    "publications": (
        both(
            at(PASTE, "mentions", MAIL),
            on(ONION, title="A mention"),
            on(e.publication("https://en.wikipedia.org/w/index.php?diff=1")),
        ),
        [
            f"{D} > LEAKSITE_URL https://paste.example.com/1",
            "LEAKSITE_URL https://paste.example.com/1 > LEAKSITE_CONTENT https://paste.example.com/1",
            "LEAKSITE_CONTENT https://paste.example.com/1 > AFFILIATE_EMAILADDR info@example.org",
            f"{D} > DARKNET_MENTION_URL http://abcdef.onion/1",
            "DARKNET_MENTION_URL http://abcdef.onion/1 > DARKNET_MENTION_CONTENT A mention",
            f"{D} > WIKIPEDIA_PAGE_EDIT https://en.wikipedia.org/w/index.php?diff=1",
        ],
    ),
    "file": (
        both(on(FILE, file_name="a.pdf", author="Ann B"), on(e.file("d" * 64))),
        [
            f"{D} > INTERESTING_FILE a.pdf",
            "INTERESTING_FILE a.pdf > RAW_FILE_META_DATA Author: Ann B",
            "RAW_FILE_META_DATA Author: Ann B > HUMAN_NAME Ann B",
            f"{D} > HASH {'d' * 64}",
        ],
    ),
    "software": (
        both(on(e.mobile_app("google_play", "org.example.app")), on(e.code_repository("github", "example/app"))),
        [f"{D} > APPSTORE_ENTRY ", f"{D} > PUBLIC_CODE_REPO github/example/app"],
    ),
    "verdicts": (
        both(
            on(WWW, listed_by="DBL", maliciousness=80),
            on(OTHER, "affiliate", listed_by="DBL", maliciousness=80),
            on(e.name("a.example.com"), "co_hosted", listed_by="DBL", maliciousness=80),
            on(IP, listed_by="ZEN", maliciousness=80),
            on(IP6, "affiliate", listed_by="ZEN", maliciousness=80),
            on(BLOCK, listed_by="ZEN"),
            on(BLOCK6, "affiliate", listed_by="ZEN"),
            on(MAIL, listed_by="EBL"),
        ),
        [
            "INTERNET_NAME www.example.org > BLACKLISTED_INTERNET_NAME DBL [www.example.org]",
            "INTERNET_NAME www.example.org > MALICIOUS_INTERNET_NAME test [www.example.org]",
            "> BLACKLISTED_AFFILIATE_INTERNET_NAME DBL [www.example.net]",
            "> MALICIOUS_AFFILIATE_INTERNET_NAME test [www.example.net]",
            "> BLACKLISTED_COHOST DBL [a.example.com]",
            "> MALICIOUS_COHOST test [a.example.com]",
            "> BLACKLISTED_IPADDR ZEN [203.0.113.7]",
            "> MALICIOUS_IPADDR test [203.0.113.7]",
            "> BLACKLISTED_AFFILIATE_IPADDR ZEN [2001:db8::7]",
            "> MALICIOUS_AFFILIATE_IPADDR test [2001:db8::7]",
            "> BLACKLISTED_NETBLOCK ZEN [203.0.113.0/24]",
            "> BLACKLISTED_SUBNET ZEN [2001:db8::/32]",
            "> MALICIOUS_EMAILADDR EBL [info@example.org]",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_facts_become_the_events_that_spiderfoot_would_have(name):
    plant, expected = CASES[name]
    scan = Scan()
    plant(scan)
    lines = scan.lines()
    for each in expected:
        assert any(each in line for line in lines), (each, lines)


def made() -> set[str]:
    """All types of events of all cases."""
    found = {"ROOT"}
    for plant, _ in CASES.values():
        scan = Scan()
        plant(scan)
        found |= {event.type for event in scan.events().all}
    return found


@pytest.mark.parametrize("name", CASES)
def test_of_a_type_the_same_is_made_whether_others_are_asked_for_or_not(name):
    plant, _ = CASES[name]
    scan = Scan()
    plant(scan)
    everything = scan.events().all
    for kind in {event.type for event in everything}:
        alone = scan.events(Needs(types=frozenset({kind}))).all
        assert sorted(line_of(event) for event in alone if event.type == kind) == sorted(
            line_of(event) for event in everything if event.type == kind
        )


def test_an_attribute_makes_no_other_types_than_those_that_it_may():
    for plant, _ in CASES.values():
        scan = Scan()
        plant(scan)
        for event in scan.events().all:
            predicate = event.basis.predicate if event.basis else ""
            assert event.type in DESCRIBING.get(predicate, EVENT_TYPES), event


#: Why a type that the vocabulary names is not made here.
ELSEWHERE_TESTED = {"DOMAIN_NAME_PARENT"}


def test_every_type_that_the_vocabulary_names_is_made():
    named = {name for kind in ENTITY_TYPES.values() for name in kind.spiderfoot}
    named |= {row.spiderfoot for row in ATTRIBUTES.values() if row.spiderfoot}
    named |= {name for kind in RELATION_TYPES.values() for name in kind.spiderfoot.split(" > ") if name}
    assert named <= set(EVENT_TYPES)
    assert named - made() == ELSEWHERE_TESTED


def test_every_type_that_is_made_is_one_of_spiderfoot():
    assert made() <= set(EVENT_TYPES)
