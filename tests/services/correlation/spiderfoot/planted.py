"""A scan in which nearly all of the rules that come with SpiderFoot 4 find something."""

from services.contracts import entities as e
from tests.services.correlation.spiderfoot.scan import DAY, DOMAIN, NOW, Scan

WWW, DEV, OLD, LONE = (e.name(f"{label}.example.org") for label in ("www", "dev", "old", "lone"))
ADDRESS, OLD_ADDRESS = e.ip_address("203.0.113.7"), e.ip_address("203.0.113.8")
MAIL, LEAKED = e.email_address("a@example.org"), e.email_address("b@example.org")
REGISTRATION = e.registration("verisign", "EXAMPLE.ORG")


def planted() -> Scan:
    scan = Scan()
    _plant_names(scan)
    _plant_addresses(scan)
    _plant_servers(scan)
    _plant_people(scan)
    return scan


def _plant_names(scan: Scan) -> None:
    scan.thing(WWW, "crtsh")
    scan.thing(WWW, "brute")
    scan.thing(DEV, "brute")
    scan.thing(LONE, "crtsh")
    scan.thing(LONE, "certspotter")
    scan.thing(OLD, "otx")
    server = scan.join(DOMAIN, "uses_nameserver", e.name("ns1.example.net"), "dns_records")
    scan.thing(WWW, "zone_transfer", server)


def _plant_addresses(scan: Scan) -> None:
    for name, address in ((WWW, ADDRESS), (OLD, OLD_ADDRESS), (DEV, e.ip_address("10.0.0.9"))):
        scan.join(name, "resolves_to", address, "dns_records", record="A")
    for port in (443, 3306, 3389, 50070, 33060):
        service = e.service(ADDRESS.value, "tcp", port)
        scan.join(ADDRESS, "exposes", service, "tcp_ports")
        if port == 3306:
            scan.describe(service, "tcp_ports", ADDRESS, banner="5.7.30-MySQL")
        if port == 443:
            scan.describe(service, "tcp_ports", ADDRESS, banner="HTTP/1.1 400 Bad Request")
    for list_ in ("ZEN", "SORBS"):
        scan.describe(ADDRESS, "dnsbl", ADDRESS, listed_by=list_)
    scan.describe(OLD_ADDRESS, "dnsbl", OLD_ADDRESS, listed_by="ZEN")
    partner, beside = e.name("www.example.net"), e.name("www.example.com")
    scan.thing(partner, "otx", role="affiliate", listed_by=["DBL", "SURBL"])
    scan.thing(beside, "otx", role="co_hosted", listed_by=["DBL", "SURBL"])
    for number, score in ((1, 9.8), (2, 7.5), (3, 5.0), (4, 3.0)):
        weakness = e.vulnerability(f"CVE-2026-000{number}")
        scan.join(OLD_ADDRESS, "affected_by", weakness, "internetdb")
        scan.describe(weakness, "test", cvss=score)
    own = scan.thing(e.netblock("203.0.113.0/24"), "ripestat", ADDRESS)
    edit = e.publication("https://en.wikipedia.org/w/index.php?diff=1")
    scan.thing(edit, "test", ADDRESS)
    assert own.value == "203.0.113.0/24"


def _plant_servers(scan: Scan) -> None:
    for name, status in ((WWW, 200), (OLD, 500), (DEV, 401)):
        url = e.url(f"https://{name.value}/")
        scan.thing(url, "web", name)
        scan.describe(url, "web", name, http_status=status, server="Apache" if name is OLD else "nginx")
    for page in range(20):
        url = e.url(f"https://www.example.org/{page}")
        scan.thing(url, "crawl", WWW)
        scan.describe(url, "crawl", WWW, server="nginx", http_status=200)
    broken = e.url("https://old.example.org/x")
    scan.thing(broken, "crawl", OLD)
    scan.describe(broken, "crawl", OLD, http_status=500, error_page="Traceback (most recent call last)")
    shown, port = e.certificate("ab" * 32), e.service(OLD_ADDRESS.value, "tcp", 443)
    scan.join(port, "presents", shown, "tls_certificate", OLD, sni=OLD.value)
    scan.describe(shown, "tls_certificate", OLD, not_after=NOW - DAY)
    scan.join(OLD, "affected_by", e.vulnerability("CVE-2026-0009"), "test")
    beside = scan.place(e.name("shop.example.com"), "co_hosted")
    scan.join(shown, "covers_name", OLD, "tls_certificate", OLD)
    for name in (WWW, OLD):
        scan.join(shown, "covers_name", beside, "tls_certificate", name)
    bucket, kept = (e.cloud_resource("aws", "bucket", name) for name in ("example-data", "example-kept"))
    scan.join(e.url("https://www.example.org/"), "uses", bucket, "web")
    scan.thing(e.cloud_resource("aws", "bucket", "example-found"), "test", public_access=True)
    scan.describe(bucket, "test", public_access=True)
    scan.thing(kept, "test", public_access=False)
    for number in range(12):
        scan.describe(e.name("www.example.org"), f"geo{number}", WWW, country="DE")
    scan.describe(OLD, "geo", OLD, country="US")


def _plant_people(scan: Scan) -> None:
    scan.place(MAIL, "in_scope")
    scan.join(DOMAIN, "registered_as", REGISTRATION, "whois")
    scan.describe(REGISTRATION, "whois", DOMAIN, registrar="Registrar Inc")
    scan.join(REGISTRATION, "has_contact", MAIL, "whois", DOMAIN, role="registrant")
    person = e.person("whois", "ann")
    scan.join(REGISTRATION, "has_contact", person, "whois", DOMAIN, role="registrant")
    scan.describe(person, "whois", DOMAIN, display_name="Ann B")
    for name in ("Adobe", "LinkedIn"):
        scan.join(MAIL, "leaked_in", e.breach("hibp", name), "test")
    paste = scan.thing(e.publication("https://paste.example.com/1"), "test")
    scan.place(LEAKED, "in_scope")
    scan.join(LEAKED, "leaked_in", e.breach("hibp", "Adobe"), "test")
    for found in (LEAKED, scan.place(e.name("paste.example.org"), "in_scope")):
        scan.join(paste, "mentions", found, "test")
    document = scan.thing(e.file("cd" * 32), "test", file_name="a.pdf", author="Ann B")
    assert document.type == "file"
    for number in range(12):
        address = scan.thing(e.ip_address(f"198.51.100.{number}"), "test")
        hoster = e.organization("name", "Small" if number == 0 else "Large")
        scan.join(address, "operated_by", hoster, "test", role="hosting")
