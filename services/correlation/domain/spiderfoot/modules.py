"""What SpiderFoot calls the modules that do what Mirage's do; rules match on those names."""

from typing import Final

#: Mirage's module → SpiderFoot's. One that is not here keeps its name, since SpiderFoot has none like it.
MODULES: Final[dict[str, str]] = {
    "brute": "sfp_dnsbrute",
    "certspotter": "sfp_certspotter",
    "commoncrawl": "sfp_commoncrawl",
    "crawl": "sfp_spider",
    "crtsh": "sfp_crt",
    "crypto": "sfp_bitcoin",
    "dns_records": "sfp_dnsraw",
    "github_org": "sfp_github",
    "github_user": "sfp_github",
    "gleif": "sfp_gleif",
    "gravatar": "sfp_gravatar",
    "hackertarget": "sfp_hackertarget",
    "internetdb": "sfp_shodan",
    "mail_setup": "sfp_dnsraw",
    "openpgp": "sfp_pgp",
    "otx": "sfp_alienvault",
    "permutations": "sfp_dnsbrute",
    "phone": "sfp_phone",
    "rdap_domain": "sfp_whois",
    "rdap_ip": "sfp_whois",
    "reverse_dns": "sfp_dnsresolve",
    "reverse_sweep": "sfp_dnsneighbor",
    "ripestat": "sfp_ripe",
    "srv": "sfp_dnscommonsrv",
    "takeover": "sfp_subdomain_takeover",
    "tcp_ports": "sfp_portscan_tcp",
    "tls_certificate": "sfp_sslcert",
    "urlscan": "sfp_urlscan",
    "wayback": "sfp_archiveorg",
    "web": "sfp_spider",
    "whois": "sfp_whois",
    "zone_transfer": "sfp_dnszonexfer",
}

#: Who gives the target itself.
TARGET: Final = "SpiderFoot UI"

_RESOLVERS: Final = frozenset({"sfp_dnsbrute", "sfp_dnsraw", "sfp_dnscommonsrv"})
_NAMES: Final = frozenset({"INTERNET_NAME", "AFFILIATE_INTERNET_NAME", "DOMAIN_NAME", "AFFILIATE_DOMAIN_NAME"})
_ADDRESSES: Final = frozenset(
    {"IP_ADDRESS", "IPV6_ADDRESS", "INTERNAL_IP_ADDRESS", "AFFILIATE_IPADDR", "AFFILIATE_IPV6_ADDRESS"}
)

#: All that SpiderFoot says of a zone that it was handed.
_OF_ZONES: Final = frozenset({"INTERNET_NAME", "RAW_DNS_RECORDS", "VULNERABILITY_DISCLOSURE"})

#: What SpiderFoot reads out of pages is by modules of their own: type of event → module.
_READERS: Final[dict[str, str]] = {
    "BITCOIN_ADDRESS": "sfp_bitcoin",
    "ERROR_MESSAGE": "sfp_errors",
    "ETHEREUM_ADDRESS": "sfp_ethereum",
    "EMAILADDR": "sfp_email",
    "EMAILADDR_GENERIC": "sfp_email",
    "AFFILIATE_EMAILADDR": "sfp_email",
    "INTERESTING_FILE": "sfp_intfiles",
    "PHONE_NUMBER": "sfp_phone",
    "PROVIDER_JAVASCRIPT": "sfp_pageinfo",
    "SOCIAL_MEDIA": "sfp_social",
    "TARGET_WEB_COOKIE": "sfp_cookie",
    "URL_FORM": "sfp_pageinfo",
    "URL_PASSWORD": "sfp_pageinfo",
    "URL_UPLOAD": "sfp_pageinfo",
    "WEBSERVER_BANNER": "sfp_webserver",
    "WEBSERVER_TECHNOLOGY": "sfp_webserver",
    "WEB_ANALYTICS_ID": "sfp_webanalytics",
}
_OF_REGISTRATIONS: Final = frozenset({"EMAILADDR", "EMAILADDR_GENERIC", "AFFILIATE_EMAILADDR", "PHONE_NUMBER"})


def module_of(module: str, type: str) -> str:
    """The module that would have said an event of a type in SpiderFoot."""
    found = MODULES.get(module, module)
    if found == "sfp_spider":
        return _READERS.get(type, found)
    if found == "sfp_whois" and type in _OF_REGISTRATIONS:
        return _READERS[type]
    if found == "sfp_dnszonexfer" and type not in _OF_ZONES:
        found = "sfp_dnsraw"
    # There a word list finds names; that they resolve, and to what, is found elsewhere.
    if found in _RESOLVERS and (type in _ADDRESSES or (found == "sfp_dnsraw" and type in _NAMES)):
        return "sfp_dnsresolve"
    return found
