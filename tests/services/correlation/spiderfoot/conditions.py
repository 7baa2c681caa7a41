"""What the rules ask that come with SpiderFoot 4 (smicallef/spiderfoot, MIT), in our own words."""

from typing import Any

from services.correlation.domain.spiderfoot.rule import SpiderFootRule
from tests.services.correlation.spiderfoot.tree import block, rule_of


def like(field: str, *patterns: str) -> dict[str, Any]:
    return block(field, *patterns, regex=True)


def of(*types: str) -> dict[str, Any]:
    return block("type", *types)


def step(method: str, **options: Any) -> dict[str, Any]:
    return {"method": method, **options}


_OUTLIER = [step("outlier", maximum_percent=10)]
_TWICE = [step("threshold", field="source.data", minimum=2)]
_FIRST_ONLY = [step("first_collection_only", field="data")]
_BAD = like("type", "MALICIOUS_*", "BLACKLIST_*")
_DATABASES = (
    *(3306, 1521, 5432, 6379, 6380, 50070, 50470, 50090, "500[12]0", 50475, 50075, 8020, 9000, 7077),
    "2701[789]",
)

#: Name of the rule → its collections, its aggregation, and what else it has.
CONDITIONS: dict[str, tuple[list[list[dict[str, Any]]], str, dict[str, Any]]] = {
    "cert_expired": ([[of("SSL_CERTIFICATE_EXPIRED")]], "source.data", {}),
    "cloud_bucket_open": (
        [
            [
                of("CLOUD_STORAGE_BUCKET"),
                block("source.type", "LINKED_URL_EXTERNAL"),
                block("child.type", "CLOUD_STORAGE_BUCKET_OPEN"),
            ]
        ],
        "data",
        {},
    ),
    "cloud_bucket_open_related": (
        [
            [
                of("CLOUD_STORAGE_BUCKET"),
                block("source.type", "not LINKED_URL_EXTERNAL"),
                block("child.type", "CLOUD_STORAGE_BUCKET_OPEN"),
            ]
        ],
        "data",
        {},
    ),
    "data_from_base64": (
        [[of("BASE64_DATA"), like("child.data", ".*"), block("child.type", "not HASH")]],
        "child.data",
        {},
    ),
    "data_from_docmeta": (
        [[of("RAW_FILE_META_DATA"), like("child.data", ".*"), block("child.type", "not HASH")]],
        "child.data",
        {},
    ),
    "database_exposed": ([[of("TCP_PORT_OPEN"), like("data", *(f".*:{port}$" for port in _DATABASES))]], "data", {}),
    "dev_or_test_system": (
        [[of("INTERNET_NAME"), like("data", ".*dev.*", ".*test.*", ".*uat.*", ".*internal.*", ".*staging.*")]],
        "data",
        {},
    ),
    "dns_zone_transfer_possible": ([[block("module", "sfp_dnszonexfer")]], "source.data", {}),
    "egress_ip_from_wikipedia": (
        [[of("NETBLOCK_OWNER")], [of("IP_ADDRESS"), block("child.type", "WIKIPEDIA_PAGE_EDIT")]],
        "data",
        {
            "analysis": [step("match_all_to_first_collection", field="data", match_method="subnet")],
            "headline": {"text": "{data}", "publish_collections": [1]},
        },
    ),
    "email_in_multiple_breaches": ([[of("EMAILADDR_COMPROMISED")]], "source.data", {"analysis": _TWICE}),
    "email_in_whois": ([[of("EMAILADDR"), like("source.type", ".*WHOIS.*")]], "data", {}),
    "email_only_from_pasteleak_site": (
        [
            [of("EMAILADDR"), block("source.type", *values)]
            for values in (["LEAKSITE_CONTENT"], ["not LEAKSITE_CONTENT"])
        ],
        "data",
        {"analysis": _FIRST_ONLY},
    ),
    "host_only_from_bruteforce": (
        [[of("INTERNET_NAME"), block("module", each)] for each in ("sfp_dnsbrute", "not sfp_dnsbrute")],
        "data",
        {"analysis": _FIRST_ONLY},
    ),
    "host_only_from_certificatetransparency": (
        [
            [of("INTERNET_NAME"), block("module", "sfp_crt", "sfp_certspotter")],
            [of("INTERNET_NAME"), block("module", "not sfp_crt", "not sfp_certspotter", "not sfp_dnsresolve")],
        ],
        "data",
        {"analysis": _FIRST_ONLY},
    ),
    "http_errors": (
        [[of("HTTP_CODE"), like("data", "^[4-9].*$"), like("data", "not 40[13]")]],
        "entity.data",
        {"analysis": [step("threshold", minimum=2, field="data")]},
    ),
    "human_name_in_whois": ([[of("HUMAN_NAME"), like("source.type", ".*WHOIS.*")]], "data", {}),
    "internal_host": (
        [
            [of("INTERNAL_IP_ADDRESS")],
            [of("IP_ADDRESS"), like("data", r"^192\\.168\\..*", r"^10\\..*"), block("module", "sfp_dnsresolve")],
        ],
        "data",
        {},
    ),
    "multiple_malicious": (
        [[_BAD, like("source.data", "not .*/.*"), like("type", "not .*COHOST.*", "not .*AFFILIATE.*")]],
        "source.data",
        {"analysis": _TWICE},
    ),
    "multiple_malicious_affiliate": ([[_BAD, like("type", ".*AFFILIATE.*")]], "source.data", {"analysis": _TWICE}),
    "multiple_malicious_cohost": ([[_BAD, like("type", ".*COHOST.*")]], "source.data", {"analysis": _TWICE}),
    "name_only_from_pasteleak_site": (
        [
            [of("INTERNET_NAME"), block("source.type", *values)]
            for values in (["LEAKSITE_CONTENT"], ["not LEAKSITE_CONTENT"])
        ],
        "data",
        {"analysis": _FIRST_ONLY},
    ),
    "open_port_version": (
        [
            [
                of("TCP_PORT_OPEN_BANNER"),
                like("data", r".*[0-9]\.[0-9].*"),
                like("data", "not .*Mime-Version.*"),
                like("data", "not .*HTTP/1.*"),
            ]
        ],
        "data",
        {},
    ),
    "outlier_cloud": ([[of("PROVIDER_HOSTING")]], "data", {"analysis": _OUTLIER}),
    "outlier_country": ([[of("COUNTRY_NAME")]], "data", {"analysis": _OUTLIER}),
    "outlier_email": ([[of("EMAILADDR")]], "data", {"analysis": _OUTLIER}),
    "outlier_hostname": ([[of("INTERNET_NAME")]], "data", {"analysis": _OUTLIER}),
    "outlier_ipaddress": ([[of("IP_ADDRESS", "IPV6_ADDRESS")]], "data", {"analysis": _OUTLIER}),
    "outlier_registrar": ([[of("DOMAIN_REGISTRAR")]], "data", {"analysis": _OUTLIER}),
    "outlier_webserver": ([[of("WEBSERVER_BANNER")]], "data", {"analysis": _OUTLIER}),
    "remote_desktop_exposed": (
        [[of("TCP_PORT_OPEN"), like("data", ".*:5900$", ".*:3389$", ".*:4000$")]],
        "source.data",
        {},
    ),
    "root_path_needs_auth": (
        [
            [
                of("HTTP_CODE"),
                like("data", "40[31]"),
                like("source.data", r"^https?://[a-zA-Z0-9\.\-]+/?#?$", r"^[a-zA-Z0-9\.\-]+$"),
            ]
        ],
        "source.data",
        {},
    ),
    "stale_host": (
        [
            [of("SSL_CERTIFICATE_EXPIRED")],
            [of("HTTP_CODE"), like("data", "not ^[2-3].*$"), like("data", "not 40[13]")],
            [of("ERROR_MESSAGE")],
            [of("JUNK_FILE")],
            [like("type", "VULNERABILITY_.*")],
        ],
        "entity.data",
        {"analysis": [step("threshold", field="type", count_unique_only=True, minimum=3)]},
    ),
    "strong_affiliate_certs": (
        [
            [
                block("module", "sfp_sslcert", "sfp_crt", "sfp_certspotter"),
                block("source.type", "INTERNET_NAME", "DOMAIN_NAME"),
                of("AFFILIATE_INTERNET_NAME", "AFFILIATE_DOMAIN_NAME", "CO_HOSTED_SITE", "CO_HOSTED_SITE_DOMAIN"),
            ]
        ],
        "data",
        {"analysis": [step("threshold", field="source.data", count_unique_only=True, minimum=2)]},
    ),
    "strong_similardomain_crossref": (
        [[block("module", "sfp_crossref"), of("AFFILIATE_INTERNET_NAME"), block("source.type", "SIMILARDOMAIN")]],
        "data",
        {},
    ),
    "vulnerability_critical": ([[of("VULNERABILITY_CVE_CRITICAL")]], "entity.data", {}),
    "vulnerability_high": ([[of("VULNERABILITY_CVE_HIGH")]], "entity.data", {}),
    "vulnerability_mediumlow": (
        [[of("VULNERABILITY_CVE_MEDIUM", "VULNERABILITY_CVE_LOW", "VULNERABILITY_GENERAL")]],
        "entity.data",
        {"analysis": [step("threshold", field="entity.data", minimum=2)]},
    ),
}


def rule_named(name: str) -> SpiderFootRule:
    """The rule; its headline is the value that it is aggregated by."""
    collections, by, more = CONDITIONS[name]
    return rule_of(*collections, by=by, id=name, **({"headline": f"{{{by}}}"} | more))
