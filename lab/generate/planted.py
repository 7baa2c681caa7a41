"""Every finding that a deep scan of the weak world should make, each with what causes it.

Some causes were in the world before (`generate(60, 1)`): names that share an address with a certificate of others,
products with a version, addresses on block lists. They are true, so they are among what has to be found.
"""

from collections.abc import Iterator

from lab.generate.organisation import DOMAIN, OTHER_DOMAINS
from lab.generate.sites import SHARED_CERTIFICATE
from lab.world import Planted, World

CLOUD, TRACK = OTHER_DOMAINS
WEB = "203.0.113.204"

#: (rule, address, port, why)
SERVICES = (
    ("database_exposed", "203.0.113.200", 5432, "PostgreSQL of db-archive"),
    ("database_exposed", "203.0.113.203", 6379, "Redis of cache-old"),
    ("database_exposed", "203.0.113.21", 3306, "MySQL of booking, which was there before"),
    ("remote_desktop_exposed", "203.0.113.201", 3389, "RDP of rdp-gate"),
    ("remote_desktop_exposed", "203.0.113.201", 5900, "VNC of rdp-gate"),
    ("telnet_exposed", "203.0.113.202", 23, "Telnet of depot-legacy"),
    ("file_sharing_exposed", "203.0.113.202", 445, "SMB of depot-legacy"),
    ("ftp_exposed", "203.0.113.202", 21, "FTP of depot-legacy"),
    ("container_control_exposed", "203.0.113.203", 2375, "Docker of cache-old"),
    ("message_broker_exposed", "203.0.113.203", 1883, "MQTT of queue-hub"),
    ("directory_service_exposed", "203.0.113.203", 389, "LDAP of queue-hub"),
    ("certificate_wrong_name", WEB, 443, "extranet shows the certificate of its host's panel"),
    ("certificate_wrong_name", "203.0.113.5", 443, f"build.{CLOUD} leads to the home page's address"),
    ("certificate_wrong_name", "203.0.113.6", 443, "dc.eu has no site on an address that has others'"),
    ("certificate_wrong_name", "203.0.113.7", 443, "dc.ops has no site on an address that has others'"),
    ("certificate_wrong_name", "203.0.113.14", 443, "feveoquura.ops has no certificate"),
    ("certificate_wrong_name", "203.0.113.17", 443, "api-2 and sterikont-cafe have no certificate"),
    ("certificate_wrong_name", "203.0.113.20", 443, "app has no certificate"),
    ("certificate_wrong_name", "203.0.113.22", 443, "customs has no certificate"),
)

#: (rule, url without the domain, why)
PAGES = (
    ("admin_panel_exposed", "https://sqladmin.", "phpMyAdmin"),
    ("developer_tool_exposed", "https://git.", "GitLab, which was there before"),
    ("developer_tool_exposed", "https://jira.", "Jira, which was there before"),
    ("development_system_exposed", "https://staging.", "its name, which was there before"),
    ("development_system_exposed", "https://uat-booking.", "its name"),
    ("directory_listing", "https://tariff-files.", "the list of its files"),
    ("default_page", "https://web-new.", "nginx as it came"),
    ("login_over_http", "http://crew-login.", "a login on a site without a certificate"),
    ("login_without_transport_security", "https://sqladmin.", "a login without Strict-Transport-Security"),
)

#: (rule, name of the certificate in the world, why)
CERTIFICATES = (
    ("certificate_expired", f"fairs.{DOMAIN}", "it ended three weeks before"),
    ("certificate_expiring", f"brochures.{DOMAIN}", "it ends in nine days"),
    ("certificate_weak_key", f"scanner.{DOMAIN}", "an RSA key of 1,024 bits"),
    ("certificate_self_signed", f"printer.{DOMAIN}", "its own key signed it"),
    ("certificate_issuer_unusual", f"pilots.{DOMAIN}", "an authority that nobody else uses"),
    ("certificate_shared_with_others", SHARED_CERTIFICATE, "the edge's, which strangers are in as well"),
)

#: (rule, names, why)
NAMES = (
    ("zone_transfer_possible", (CLOUD,), "ns2 of the host gives it away"),
    ("zone_walkable", (CLOUD,), "it has NSEC"),
    ("caa_missing", (CLOUD,), "it has no CAA record"),
    ("name_servers_in_one_network", (CLOUD, TRACK), "all that answer are of one host"),
    ("lame_delegation", (TRACK,), "ns-old is gone"),
    ("mail_server_gone", (TRACK,), "mx-old is gone"),
    ("dnssec_missing", (DOMAIN, CLOUD, TRACK), "none is signed"),
    ("domain_expiring", (CLOUD,), "it ends in twelve days"),
    ("transfer_lock_missing", (TRACK,), "it is active and no more"),
    ("spf_allows_all", (CLOUD,), "+all"),
    ("spf_neutral", (TRACK,), "?all"),
    ("spf_too_many_lookups", (TRACK,), "eleven are included"),
    ("dmarc_missing", (CLOUD,), "it has no DMARC record"),
    ("dmarc_not_enforced", (TRACK,), "p=none"),
    ("takeover_possible", (f"promo.{DOMAIN}", f"wintersale.{DOMAIN}"), "an app that is gone"),
    ("alias_to_nothing", (f"summit.{DOMAIN}", f"handbook2.{DOMAIN}"), "a place that is gone"),
    ("security_txt_expired", (f"disclose.{DOMAIN}",), "it ended forty days before"),
    (
        "robots_reveals_paths",
        tuple(f"{label}.{DOMAIN}" for label in ("www", "blog", "careers", "shop")),
        "/internal/, which was there before",
    ),
)

#: (rule, product and version, why)
SOFTWARE = (
    ("software_known_exploited", ("apache http server", "2.4.49"), "depot-web"),
    ("software_critical_weakness", ("proftpd", "1.3.5"), "depot-legacy"),
    ("software_high_weakness", ("php", "8.2.18"), "sites that were there before"),
    ("software_medium_weakness", ("openssh", "7.4"), "db-archive"),
    ("software_medium_weakness", ("nginx", "1.24.0"), "sites that were there before"),
    ("software_medium_weakness", ("wordpress", "6.5.3"), "blogs that were there before"),
)

#: (rule, why): findings about all of a scan
GATHERED = (
    ("security_headers_missing", "no site sets any"),
    ("session_cookie_insecure", "cookies of Java, ASP.NET and GitLab without Secure"),
    ("stale_names", "names that sources remember"),
    ("names_only_guessed", "names that only a word list or their neighbours lead to"),
    ("names_from_one_source", "names that one place shows"),
)


def planted(world: World) -> Iterator[Planted]:
    for rule, kind, key, why in (*_table(), *_addresses(world)):
        yield Planted(rule=rule, type=kind, key=key, why=why)


def _table() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    yield from ((rule, "service", (address, "tcp", str(port)), why) for rule, address, port, why in SERVICES)
    yield from ((rule, "url", (f"{beginning}{DOMAIN}/",), why) for rule, beginning, why in PAGES)
    yield from ((rule, "certificate", (identity,), why) for rule, identity, why in CERTIFICATES)
    for rule, names, why in NAMES:
        yield from ((rule, "domain" if name.count(".") == 1 else "hostname", (name,), why) for name in names)
    yield from ((rule, "technology", product, why) for rule, product, why in SOFTWARE)
    yield ("private_key_shared", "crypto_key", ("spki",), "the lab has one key for all")
    yield from ((rule, "", (), why) for rule, why in GATHERED)


def _addresses(world: World) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    for address in world.addresses:
        if address.listed and address.hosts:
            yield ("address_blocklisted", "ip_address", (address.ip,), "a block list has it")
        if address.country != "GB" and address.owner == "affiliate" and address.hosts:
            yield ("country_unusual", "ip_address", (address.ip,), "the only one abroad")
            yield ("provider_unusual", "ip_address", (address.ip,), "the only one at its provider")
