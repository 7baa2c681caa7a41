"""Where each module's word comes from, and how far it is believed unless a workspace says otherwise.

Two modules that draw from one origin are one voice: when crt.sh and Cert Spotter both name a host, it is because one
certificate was logged, not because two have looked. So each module has an origin, and of an origin only its best word
counts (`services.correlation.domain.confidence`). A module has an origin of its own unless it is shown here that it
shares one. A test holds this table to the modules that there are.
"""

from typing import Final

from msgspec import Struct

from services.contracts.scope import Activity

#: Of what was asked of the target itself or of the DNS, and of what third parties say.
BY_ACTIVITY: Final[dict[Activity, float]] = {"active": 0.95, "dns": 0.95, "guess": 0.85, "passive": 0.7}
#: Of a module that is not in the table: nobody knows yet what it is worth, as with the letter F.
UNKNOWN: Final = 0.5

#: Origins that several modules share, and why they are one.
SHARED: Final[dict[str, str]] = {
    "certificate_logs": "All read the logs of Certificate Transparency: what one has the others have, or will.",
    "dns_of_target": "All ask for the records that the target itself publishes; one zone is behind every answer.",
    "reverse_zones": "Both read the PTR records that the holder of the addresses publishes.",
    "servers_of_target": "All are told by the target's own servers, which may say the same untruth to each.",
    "registration_data": "RDAP and WHOIS are two ways into one registry's database.",
    "passive_dns": "Resellers of observed DNS share sensors and feeds with each other, and buy from the same few.",
    "web_archives": "Both keep what crawlers found; the Wayback Machine takes in what Common Crawl has crawled.",
    "routing_table": "Both derive networks and their autonomous systems from what BGP collectors see.",
    "github": "Both read what the account's holder says of himself at GitHub.",
}


class Source(Struct, frozen=True):
    """A module's origin, its activity, its reliability where that differs from its activity's, and why."""

    origin: str
    activity: Activity
    own: float | None = None
    reason: str = ""

    @property
    def reliability(self) -> float:
        return BY_ACTIVITY[self.activity] if self.own is None else self.own


SOURCES: Final[dict[str, Source]] = {
    "anubis": Source("anubis", "passive", 0.4, "anybody may submit names, and nobody looks whether they exist"),
    "brute": Source("dns_of_target", "guess"),
    "certspotter": Source("certificate_logs", "passive", 0.9, "logs are signed and can only grow"),
    "commoncrawl": Source("web_archives", "passive"),
    "crawl": Source("servers_of_target", "active"),
    "crtsh": Source("certificate_logs", "passive", 0.9, "logs are signed and can only grow"),
    "crypto": Source("crypto", "passive", 0.95, "a checksum is calculated here, nobody is asked"),
    "cymru": Source("routing_table", "passive", 0.9, "derived from many collectors of BGP"),
    "dns_records": Source("dns_of_target", "dns"),
    "dnsbl": Source("dnsbl", "passive", 0.8, "lists are curated, and each has errors"),
    "github_org": Source("github", "passive", 0.8, "accounts are real, what they say of themselves is not checked"),
    "github_user": Source("github", "passive", 0.8, "accounts are real, what they say of themselves is not checked"),
    "gleif": Source("gleif", "passive", 0.95, "entries are validated against national registers"),
    "gravatar": Source("gravatar", "passive", 0.75, "the holder of the mailbox says so of himself"),
    "hackertarget": Source("passive_dns", "passive", 0.6, "no time of observation is given"),
    "internetdb": Source("internetdb", "passive", 0.75, "scans of its own, weekly"),
    "mail_policy": Source("servers_of_target", "active"),
    "mail_setup": Source("dns_of_target", "dns"),
    "microsoft_tenant": Source("microsoft_tenant", "passive", 0.9, "the provider says what is set up at it"),
    "myssl": Source("passive_dns", "passive", 0.6, "no time of observation is given"),
    "nsec_walk": Source("dns_of_target", "active"),
    "openpgp": Source("openpgp", "passive", 0.85, "mailboxes are confirmed by mail before they are shown"),
    "otx": Source("passive_dns", "passive", 0.6, "a community's observations beside a sensor network's"),
    "peeringdb": Source("peeringdb", "passive", 0.85, "networks keep their own entries up to date to be peered with"),
    "permutations": Source("dns_of_target", "guess"),
    "phone": Source("phone", "passive", 0.95, "read off the numbering plan, nobody is asked"),
    "rapiddns": Source("passive_dns", "passive", 0.6, "old records stay in it for years"),
    "rdap_asn": Source("registration_data", "passive", 0.9, "the registry that gives the number out"),
    "rdap_domain": Source("registration_data", "passive", 0.9, "the registry or registrar of the name"),
    "rdap_ip": Source("registration_data", "passive", 0.9, "the registry that gives the network out"),
    "reverse_dns": Source("reverse_zones", "dns", 0.85, "a PTR record may name anything"),
    "reverse_sweep": Source("reverse_zones", "active", 0.85, "a PTR record may name anything"),
    "ripestat": Source("routing_table", "passive", 0.9, "derived from many collectors of BGP"),
    "srv": Source("dns_of_target", "dns"),
    "subdomaincenter": Source("subdomaincenter", "passive", 0.5, "some of its names are guesses of a model"),
    "takeover": Source("dns_of_target", "dns"),
    "tcp_ports": Source("servers_of_target", "active"),
    "tls_certificate": Source("servers_of_target", "active"),
    "urlscan": Source("urlscan", "passive", 0.8, "a browser has loaded the page, whoever asked it to"),
    "wayback": Source("web_archives", "passive"),
    "web": Source("servers_of_target", "active"),
    "well_known": Source("servers_of_target", "active"),
    "whois": Source("registration_data", "passive", 0.8, "the registry's words, read out of free text"),
    "zone_transfer": Source("dns_of_target", "active"),
}  # fmt: skip
ORIGINS: Final[frozenset[str]] = frozenset(source.origin for source in SOURCES.values())


def source_of(module: str) -> Source:
    """What is known of a module; one that is not in the table is an origin of its own."""
    found = SOURCES.get(module)
    return found if found is not None else Source(module, "passive", UNKNOWN, "not in the table of sources")
