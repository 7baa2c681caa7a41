"""What the rules that come with SpiderFoot 4 ask, of facts of Mirage's own: each with all that it finds, by hand."""

import pytest

from services.contracts import entities as e
from services.correlation.domain.spiderfoot.engine import evaluate, needs
from services.correlation.domain.spiderfoot.needs import Needs
from tests.services.correlation.spiderfoot.conditions import CONDITIONS, rule_named
from tests.services.correlation.spiderfoot.planted import planted
from tests.services.correlation.spiderfoot.scan import Scan

WWW, ADDRESS = e.name("www.example.org"), e.ip_address("203.0.113.7")

#: The values that each rule finds. What can have nothing, and why, is in the README beside the engine.
FOUND: dict[str, list[str]] = {
    "cert_expired": ["old.example.org"],
    "cloud_bucket_open": ["example-data.s3.amazonaws.com"],
    "cloud_bucket_open_related": ["example-found.s3.amazonaws.com"],
    "data_from_base64": [],
    "data_from_docmeta": ["Ann B"],
    "database_exposed": ["203.0.113.7:3306", "203.0.113.7:50070"],
    "dev_or_test_system": ["dev.example.org"],
    "dns_zone_transfer_possible": ["ns1.example.net"],
    "egress_ip_from_wikipedia": ["203.0.113.7"],
    "email_in_multiple_breaches": ["a@example.org"],
    "email_in_whois": ["a@example.org"],
    "email_only_from_pasteleak_site": ["b@example.org"],
    "host_only_from_bruteforce": ["dev.example.org"],
    "host_only_from_certificatetransparency": ["lone.example.org"],
    "http_errors": ["old.example.org"],
    "human_name_in_whois": ["Ann B"],
    "internal_host": ["10.0.0.9"],
    "multiple_malicious": ["203.0.113.7"],
    "multiple_malicious_affiliate": ["www.example.net"],
    "multiple_malicious_cohost": ["www.example.com"],
    "name_only_from_pasteleak_site": ["paste.example.org"],
    "open_port_version": ["5.7.30-MySQL"],
    "outlier_cloud": ["small"],
    "outlier_country": ["US"],
    "outlier_email": [],
    "outlier_hostname": [],
    "outlier_ipaddress": [],
    "outlier_registrar": [],
    "outlier_webserver": ["Apache"],
    "remote_desktop_exposed": ["203.0.113.7"],
    "root_path_needs_auth": ["https://dev.example.org/"],
    # Weaknesses of three grades are three different types.
    "stale_host": ["203.0.113.8", "old.example.org"],
    "strong_affiliate_certs": ["shop.example.com"],
    "strong_similardomain_crossref": [],
    "vulnerability_critical": ["203.0.113.8"],
    "vulnerability_high": ["203.0.113.8"],
    "vulnerability_mediumlow": ["203.0.113.8"],
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_rule_of_spiderfoot_finds_what_is_planted_for_it(name):
    rule = rule_named(name)
    found = evaluate(rule, planted().events(needs(rule)))
    assert sorted(each.value for each in found) == FOUND[name]
    assert [each.headline for each in found] == [each.value for each in found]


def test_all_rules_that_come_with_it_are_tried():
    assert len(CONDITIONS) == 37
    assert CONDITIONS.keys() == FOUND.keys()


def test_nothing_is_found_where_nothing_is_planted():
    everything = Needs()
    for name in CONDITIONS:
        everything |= needs(rule_named(name))
    scan = Scan()
    for name in ("crtsh", "otx", "brute"):
        scan.thing(WWW, name)
    scan.join(WWW, "resolves_to", ADDRESS, "dns_records", record="A")
    scan.join(ADDRESS, "exposes", e.service(ADDRESS.value, "tcp", 443), "tcp_ports")
    scan.thing(e.url("https://www.example.org/"), "web", WWW, http_status=200, server="nginx")
    events = scan.events(everything)
    assert {name: evaluate(rule_named(name), events) for name in CONDITIONS} == {name: [] for name in CONDITIONS}
