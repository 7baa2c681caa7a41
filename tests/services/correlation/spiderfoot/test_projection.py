"""From facts to events: what comes from what, what is left out, and that no more is made than is asked for."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.contracts import entities as e
from services.contracts.resources.storage import Facts, SaidBy
from services.correlation.domain.spiderfoot.engine import Needs, evaluate, needs
from services.correlation.domain.spiderfoot.projection import Projection
from tests.services.correlation.spiderfoot.conditions import CONDITIONS, rule_named
from tests.services.correlation.spiderfoot.planted import planted
from tests.services.correlation.spiderfoot.scan import DOMAIN, NOW, Scan, line_of
from tests.services.correlation.spiderfoot.tree import block, rule_of

WWW, API, OTHER = e.name("www.example.org"), e.name("api.example.org"), e.name("www.example.net")
IP = e.ip_address("203.0.113.7")
PORT = e.service("203.0.113.7", "tcp", 443)
URL = e.url("https://www.example.org/")
CERTIFICATE = e.certificate("ab" * 32)
D = "DOMAIN_NAME example.org"


def test_the_target_comes_from_the_root_by_the_user():
    [root, target] = Scan().events().all
    assert (root.type, root.source) == ("ROOT", root)
    assert line_of(target) == "ROOT  > DOMAIN_NAME example.org by SpiderFoot UI"


def test_what_is_said_comes_from_what_was_asked_about():
    scan = Scan()
    scan.thing(WWW, "crtsh")
    scan.thing(API, "web", WWW)
    assert scan.lines() == [
        f"{D} > INTERNET_NAME www.example.org by sfp_crt",
        "INTERNET_NAME www.example.org > INTERNET_NAME api.example.org by sfp_spider",
    ]


def test_each_module_and_each_subject_makes_an_event_and_saying_it_again_does_not():
    scan = Scan()
    for module, asked in (("crtsh", DOMAIN), ("crtsh", DOMAIN), ("brute", DOMAIN), ("crtsh", API)):
        scan.thing(WWW, module, asked)
    scan.thing(API, "crtsh")
    assert [line for line in scan.lines() if "> INTERNET_NAME www" in line] == [
        f"{D} > INTERNET_NAME www.example.org by sfp_crt",
        f"{D} > INTERNET_NAME www.example.org by sfp_dnsbrute",
        "INTERNET_NAME api.example.org > INTERNET_NAME www.example.org by sfp_crt",
    ]


def test_what_is_asked_about_itself_comes_from_where_it_was_found():
    scan = Scan()
    scan.thing(WWW, "crtsh")
    scan.thing(WWW, "dns_records", WWW)
    assert scan.lines() == [f"{D} > INTERNET_NAME www.example.org by sfp_crt"]


def test_a_name_that_only_a_relation_has_was_seen_at_what_was_asked_about():
    scan = Scan()
    scan.place(WWW, "in_scope")
    scan.join(WWW, "resolves_to", IP, "hackertarget", DOMAIN, record="A")
    assert scan.lines() == [
        f"{D} > INTERNET_NAME www.example.org by sfp_hackertarget",
        "INTERNET_NAME www.example.org > IP_ADDRESS 203.0.113.7 by sfp_hackertarget",
    ]


def test_a_relation_is_read_from_the_end_that_was_asked_about():
    scan = Scan()
    scan.place(WWW, "in_scope")
    scan.thing(IP, "test")
    scan.join(WWW, "resolves_to", IP, "internetdb", IP, record="A")
    assert "IP_ADDRESS 203.0.113.7 > INTERNET_NAME www.example.org by sfp_shodan" in scan.lines()


def test_a_thing_found_over_a_relation_is_not_found_once_more_at_the_subject():
    scan = Scan()
    registration = e.registration("verisign", "EXAMPLE.ORG")
    mail = scan.place(e.email_address("a@example.org"), "in_scope")
    scan.join(DOMAIN, "registered_as", registration, "whois", DOMAIN)
    scan.join(registration, "has_contact", mail, "whois", DOMAIN, role="registrant")
    scan.thing(mail, "whois", DOMAIN)
    assert scan.lines() == [
        "DOMAIN_NAME example.org > DOMAIN_WHOIS verisign:EXAMPLE.ORG by sfp_whois",
        "DOMAIN_WHOIS verisign:EXAMPLE.ORG > EMAILADDR a@example.org by sfp_email",
    ]


def test_names_of_a_certificate_come_from_the_host_that_showed_it():
    scan = Scan()
    scan.thing(WWW, "crtsh")
    exposed = scan.join(WWW, "exposes", PORT, "tcp_ports", WWW)
    scan.join(PORT, "presents", CERTIFICATE, "tls_certificate", exposed, sni="www.example.org")
    scan.place(OTHER, "co_hosted")
    scan.join(CERTIFICATE, "covers_name", OTHER, "tls_certificate", exposed)
    assert scan.lines()[1:] == [
        "INTERNET_NAME www.example.org > CO_HOSTED_SITE www.example.net by sfp_sslcert",
        "INTERNET_NAME www.example.org > SSL_CERTIFICATE_RAW " + "ab" * 32 + " by sfp_sslcert",
        "INTERNET_NAME www.example.org > TCP_PORT_OPEN 203.0.113.7:443 by sfp_portscan_tcp",
        "INTERNET_NAME www.example.org > TCP_PORT_OPEN 203.0.113.7:443 by sfp_sslcert",
    ]


def test_a_certificate_is_shown_also_when_the_same_answer_says_whose_it_is():
    scan = Scan(at_once=True)
    scan.thing(WWW, "crtsh")
    scan.join(CERTIFICATE, "covers_name", WWW, "tls_certificate", WWW)
    scan.join(PORT, "presents", CERTIFICATE, "tls_certificate", WWW, sni="www.example.org")
    scan.describe(CERTIFICATE, "tls_certificate", WWW, not_after=NOW - 1)
    assert any("INTERNET_NAME www.example.org > SSL_CERTIFICATE_EXPIRED" in line for line in scan.lines())


def test_a_host_that_serves_a_zone_and_takes_its_mail_is_both():
    scan = Scan(at_once=True)
    for relation in ("uses_nameserver", "uses_mailserver"):
        scan.join(DOMAIN, relation, OTHER, "dns_records")
    assert scan.lines() == [
        f"{D} > AFFILIATE_INTERNET_NAME www.example.net by sfp_dnsresolve",
        f"{D} > PROVIDER_DNS www.example.net by sfp_dnsraw",
        f"{D} > PROVIDER_MAIL www.example.net by sfp_dnsraw",
    ]


def test_a_certificate_that_nobody_shows_any_more_is_not_expired():
    scan = Scan()
    scan.thing(CERTIFICATE, "certspotter", DOMAIN)
    scan.describe(CERTIFICATE, "certspotter", DOMAIN, not_after=NOW - 1, issuer="CN=CA")
    assert {event.type for event in scan.events().all} == {
        "ROOT", "DOMAIN_NAME", "SSL_CERTIFICATE_RAW", "SSL_CERTIFICATE_ISSUER",
    }  # fmt: skip


def test_what_a_name_server_hands_out_comes_from_the_name_server():
    scan = Scan()
    server = scan.join(DOMAIN, "uses_nameserver", OTHER, "dns_records")
    scan.thing(WWW, "zone_transfer", server)
    scan.describe(DOMAIN, "zone_transfer", server, open_zone_transfer="192.0.2.53")
    scan.join(WWW, "resolves_to", IP, "zone_transfer", server, record="A")
    scan.join(DOMAIN, "uses_mailserver", API, "zone_transfer", server)
    lines = scan.lines()
    # There the zone alone is by that module.
    assert "INTERNET_NAME www.example.org > IP_ADDRESS 203.0.113.7 by sfp_dnsresolve" in lines
    assert f"{D} > PROVIDER_MAIL api.example.org by sfp_dnsraw" in lines
    assert "PROVIDER_DNS www.example.net > INTERNET_NAME www.example.org by sfp_dnszonexfer" in lines
    assert any(line.startswith("PROVIDER_DNS www.example.net > VULNERABILITY_DISCLOSURE") for line in lines)
    assert sum("> PROVIDER_DNS" in line for line in lines) == 1


def test_the_domain_above_a_target_is_its_parent():
    scan = Scan(target=WWW)
    scan.place(DOMAIN, "external")
    scan.join(WWW, "part_of", DOMAIN, "dns_records")
    assert scan.lines() == ["INTERNET_NAME www.example.org > DOMAIN_NAME_PARENT example.org by sfp_dnsraw"]


@pytest.mark.parametrize(
    ("address", "internal"),
    [
        ("10.0.0.1", True), ("100.64.0.1", True), ("100.128.0.1", False), ("127.0.0.1", True), ("169.254.1.1", True),
        ("172.16.0.1", True), ("172.31.255.1", True), ("172.32.0.1", False), ("172.15.0.1", False),
        ("192.168.0.1", True), ("192.169.0.1", False), ("101.0.0.1", False), ("203.0.113.7", False),
        ("::1", True), ("fd00::1", True), ("fe80::1", True), ("2001:db8::1", False), ("fec0::1", False),
    ],
)  # fmt: skip
def test_addresses_that_are_none_of_the_internets_are_internal(address, internal):
    scan = Scan()
    scan.thing(e.ip_address(address))
    assert any("INTERNAL_IP_ADDRESS" in line for line in scan.lines()) is internal


def test_an_address_is_the_targets_when_one_of_its_names_leads_there():
    scan = Scan()
    scan.place(OTHER, "affiliate")
    scan.join(DOMAIN, "uses_mailserver", OTHER, "dns_records")
    scan.join(OTHER, "resolves_to", IP, "dns_records", record="A")
    assert any("AFFILIATE_IPADDR 203.0.113.7" in line for line in scan.lines())
    scan.thing(WWW, "crtsh")
    scan.join(WWW, "resolves_to", IP, "dns_records", record="A")
    assert not any("AFFILIATE_IPADDR 203.0.113.7" in line for line in scan.lines())
    assert sum("> IP_ADDRESS 203.0.113.7 by sfp_dnsresolve" in line for line in scan.lines()) == 2


def test_a_domain_with_an_address_is_a_host_as_well():
    scan = Scan()
    scan.join(DOMAIN, "resolves_to", IP, "dns_records", record="A")
    made = {(event.type, event.data) for event in scan.events().all}
    assert {("DOMAIN_NAME", "example.org"), ("INTERNET_NAME", "example.org")} <= made


def test_what_is_external_is_passed_over_and_what_comes_from_it_comes_from_what_led_there():
    scan = Scan()
    scan.thing(URL, "web")
    scan.place(OTHER, "external")
    scan.join(URL, "links_to", OTHER, "web")
    scan.join(OTHER, "runs", e.technology("Hugo"), "web", OTHER)
    scan.describe(OTHER, "web", OTHER, category="shop")
    assert scan.lines() == [
        f"{D} > LINKED_URL_INTERNAL https://www.example.org/ by sfp_spider",
        "LINKED_URL_INTERNAL https://www.example.org/ > WEBSERVER_TECHNOLOGY hugo by sfp_webserver",
    ]


def test_a_closed_port_is_no_open_one():
    scan = Scan()
    scan.thing(IP)
    scan.join(IP, "exposes", PORT, "tcp_ports")
    scan.describe(PORT, "tcp_ports", IP, state="open", banner="x")
    assert sum("PORT_OPEN" in line for line in scan.lines()) == 2
    scan.describe(PORT, "tcp_ports", IP, state="closed")
    assert sum("PORT_OPEN" in line for line in scan.lines()) == 0


def test_what_a_person_called_false_is_left_out_with_all_that_leads_through_it():
    scan = Scan()
    scan.thing(WWW, "crtsh")
    scan.join(WWW, "resolves_to", IP, "dns_records", record="A")
    scan.describe(WWW, "person", b"", false_positive=True)
    assert scan.lines() == []
    scan.thing(IP, "otx", role="affiliate")
    assert scan.lines() == [f"{D} > AFFILIATE_IPADDR 203.0.113.7 by sfp_alienvault"]


def test_what_leads_back_to_no_target_is_left_out_and_a_circle_leads_nowhere():
    scan = Scan()
    scan.thing(WWW, "crtsh", API)
    scan.thing(API, "crtsh", WWW)
    assert scan.lines() == []


def test_what_is_one_module_in_spiderfoot_makes_one_event():
    scan = Scan()
    for module in ("whois", "rdap_domain", "other"):
        scan.describe(DOMAIN, module, DOMAIN, registrar="Registrar Inc")
    assert scan.lines() == [
        f"{D} > DOMAIN_REGISTRAR Registrar Inc by other",
        f"{D} > DOMAIN_REGISTRAR Registrar Inc by sfp_whois",
    ]


def test_what_was_said_of_a_level_of_names_comes_from_the_name_above():
    scan = Scan()
    scan.thing(WWW, "crtsh")
    scan.thing(e.name("a.b.www.example.org"), "brute", b"a level of names")
    assert "INTERNET_NAME www.example.org > INTERNET_NAME a.b.www.example.org by sfp_dnsbrute" in scan.lines()


def test_what_was_said_of_a_set_of_names_comes_from_the_target():
    scan = Scan()
    scan.thing(WWW, "permutations", b"a set of names..")
    scan.thing(API, "crtsh")
    scan.thing(API, "permutations", b"another set.....")
    scan.thing(WWW, "brute", API)
    scan.thing(WWW, "brute", b"a level of names")
    assert scan.lines() == [
        f"{D} > INTERNET_NAME api.example.org by sfp_crt",
        f"{D} > INTERNET_NAME api.example.org by sfp_dnsbrute",
        f"{D} > INTERNET_NAME www.example.org by sfp_dnsbrute",
        "INTERNET_NAME api.example.org > INTERNET_NAME www.example.org by sfp_dnsbrute",
    ]
    scan = Scan()
    scan.thing(API, "crtsh")
    scan.thing(WWW, "brute", API)
    scan.thing(WWW, "brute", b"a level of names")
    assert scan.lines()[1:] == ["INTERNET_NAME api.example.org > INTERNET_NAME www.example.org by sfp_dnsbrute"]


def test_what_is_in_scope_stands_for_targets_where_there_are_none():
    scan = Scan()
    scan.place(DOMAIN, "in_scope")
    assert [event.type for event in scan.events().all] == ["ROOT", "DOMAIN_NAME"]


def test_of_an_attribute_with_one_value_the_last_one_counts_and_of_many_each():
    scan = Scan()
    scan.thing(URL, http_status=500, generator=["Hugo", "Jekyll"])
    scan.describe(URL, "web", http_status=200)
    texts = {event.data for event in scan.events().all if event.source.type == "LINKED_URL_INTERNAL"}
    assert texts == {"200", "Hugo", "Jekyll"}


def test_an_attribute_that_several_say_is_an_event_of_each():
    scan = Scan()
    scan.thing(IP, "test")
    for module in ("dnsbl", "otx", "otx"):
        scan.describe(IP, module, IP, listed_by="ZEN")
    assert [line for line in scan.lines() if "BLACKLISTED" in line] == [
        "IP_ADDRESS 203.0.113.7 > BLACKLISTED_IPADDR ZEN [203.0.113.7] by dnsbl",
        "IP_ADDRESS 203.0.113.7 > BLACKLISTED_IPADDR ZEN [203.0.113.7] by sfp_alienvault",
    ]


def test_what_is_over_has_the_type_for_that():
    scan = Scan()
    scan.thing(URL, "web")
    said = scan.say("wayback", URL, valid_to=NOW - 1)
    document = e.url("https://www.example.org/a.pdf")
    scan.join(URL, "links_to", document, "wayback", element="document")
    facts = scan.facts
    [relation] = facts.relations
    projection = Projection(Needs(types=frozenset({"INTERESTING_FILE_HISTORIC"})), now=NOW)
    projection.add(replace(facts, relations=(replace(relation, said=(said,)),)))
    assert [event.type for event in projection.events().all if event.data == document.value] == [
        "INTERESTING_FILE_HISTORIC"
    ]


def test_a_score_that_no_fact_says_is_looked_up():
    scan = Scan()
    scan.thing(IP)
    scan.join(IP, "affected_by", e.vulnerability("CVE-2026-0001"), "internetdb")
    assert any("VULNERABILITY_GENERAL" in line for line in scan.lines())
    assert any("VULNERABILITY_CVE_CRITICAL" in line for line in scan.lines(score={"CVE-2026-0001": 9.8}.get))


def test_an_event_says_what_it_stands_for():
    scan = Scan()
    scan.thing(IP, "test")
    scan.join(IP, "exposes", PORT, "tcp_ports")
    scan.describe(PORT, "tcp_ports", IP, banner="SSH")
    events = {event.type: event for event in scan.events().all}
    opened = events["TCP_PORT_OPEN"].basis
    assert opened is not None
    assert (opened.entity, opened.predicate, opened.target) == (IP, "exposes", PORT)
    banner = events["TCP_PORT_OPEN_BANNER"].basis
    assert banner is not None
    assert (banner.entity, banner.predicate, banner.value) == (PORT, "banner", "SSH")
    assert isinstance(banner.said, SaidBy)
    assert banner.said.module == "tcp_ports"


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_rule_finds_the_same_in_what_it_needs_as_in_everything(name):
    rule, scan = rule_named(name), planted()
    everything = [(each.value, each.headline) for each in evaluate(rule, scan.events())]
    assert [(each.value, each.headline) for each in evaluate(rule, scan.events(needs(rule)))] == everything


def test_only_what_is_needed_is_made():
    rule = rule_of([block("type", "TCP_PORT_OPEN")])
    made = {event.type for event in planted().events(needs(rule)).all}
    assert made == {"ROOT", "DOMAIN_NAME", "INTERNET_NAME", "IP_ADDRESS", "TCP_PORT_OPEN"}


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 7))
def test_facts_come_in_any_order_and_pieces(random, size):
    scan = planted()
    facts = scan.facts
    pieces = [
        *({"entities": (each,)} for each in facts.entities),
        *({"relations": (each,)} for each in facts.relations),
    ]
    random.shuffle(pieces)
    everything = needs(rule_named("cert_expired"))
    for name in CONDITIONS:
        everything |= needs(rule_named(name))
    projection = Projection(everything, now=NOW)
    for start in range(0, len(pieces), size):
        some = pieces[start : start + size]
        projection.add(
            Facts(
                entities=tuple(chain.from_iterable(each.get("entities", ()) for each in some)),
                relations=tuple(chain.from_iterable(each.get("relations", ()) for each in some)),
            )
        )
    made = sorted(line_of(event) for event in projection.events().all)
    assert made == sorted(line_of(event) for event in scan.events(everything).all)
