import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.archetypes.contacts import Contact, contacted, role_of
from services.collector.archetypes.rdap.bootstrap import server_of
from services.collector.archetypes.rdap.numbers import register_of
from services.collector.archetypes.times import instant
from services.collector.archetypes.whois import fields, has_facts, is_nothing, refusal_of, registration_of
from services.collector.context import Blocked, RateLimited, SourceError, Unreachable
from services.contracts import entities
from services.contracts.claims import Entity

SERVICES = [
    [["com", "net"], ["https://rdap.com.example/v1/"]],
    [["org"], ["http://rdap.org.example/", "https://rdap.org.example/"]],
    [["co.uk"], ["https://rdap.uk.example/"]],
    [["192.0.0.0/8"], ["https://large.example/"]],
    [["192.0.2.0/24"], ["https://small.example/"]],
    [["2001:db8::/32"], ["https://six.example/"]],
    [["64496-64511", "65551"], ["https://numbers.example/"]],
    [["odd"], ["ftp://odd.example/", "https://"]],
]


@pytest.mark.parametrize(
    ("seen", "server"),
    [
        (entities.domain("example.com"), "https://rdap.com.example/v1/"),
        (entities.domain("example.org"), "https://rdap.org.example/"),
        (entities.domain("example.co.uk"), "https://rdap.uk.example/"),
        (entities.domain("example.de"), None),
        (entities.domain("example.odd"), None),
        (entities.ip_address("192.0.2.9"), "https://small.example/"),
        (entities.ip_address("192.0.3.9"), "https://large.example/"),
        (entities.netblock("192.0.2.128/25"), "https://small.example/"),
        (entities.netblock("192.0.0.0/16"), "https://large.example/"),
        (entities.netblock("128.0.0.0/1"), None),
        (entities.ip_address("2001:db8::1"), "https://six.example/"),
        (entities.asn(64500), "https://numbers.example/"),
        (entities.asn(65551), "https://numbers.example/"),
        (entities.asn(1), None),
    ],
)
def test_the_most_specific_entry_names_the_server(seen: Entity, server: str | None) -> None:
    assert server_of(seen, SERVICES) == server


def test_a_server_that_is_not_known_is_its_own_registry() -> None:
    assert register_of("https://rdap.db.ripe.net/ip/192.0.2.1") == "ripencc"
    assert register_of("https://rdap.nir.example/ip/192.0.2.1") == "rdap.nir.example"


@pytest.mark.parametrize(
    "name",
    [
        "REDACTED FOR PRIVACY",
        "Domains By Proxy, LLC",
        "Privacy service provided by X",
        "Data Protected",
        "WhoisGuard",
        "Not shown, please visit www.dns.be for webbased whois.",
    ],
)
def test_a_hidden_contact_is_nobody(name: str) -> None:
    hidden = Contact(role="registrant", organisation=name, emails=("x@example.org",), phones=("+441514960100",))
    assert list(contacted(hidden, entities.registration("org", "D1"), "org")) == []


@pytest.mark.parametrize("name", ["Domain Administrator", "Hostmaster", "IT Department", "Example Ltd", "Cher"])
def test_a_department_is_no_person(name: str) -> None:
    contact = Contact(role="technical", handle="T1", name=name, organisation="Example Widgets Ltd")
    claims = list(contacted(contact, entities.registration("org", "D1"), "org"))
    assert {claim.type for claim in claims if isinstance(claim, Entity)} == {"organization"}


def test_roles_are_words() -> None:
    assert role_of("Tech") == "technical"
    assert role_of("Public Relations") == "public_relations"
    assert role_of("\x00;drop") == "other"


def test_headings_keys_and_brackets_are_read_alike() -> None:
    for text in (
        "Name Server: NS1.EXAMPLE.NET\nCreation Date: 2001-02-03",
        "nserver:  NS1.EXAMPLE.NET\ncreated:  2001-02-03",
        "[Name Server]   NS1.EXAMPLE.NET\n[Created on]  2001/02/03",
        "  Name servers:\n    NS1.EXAMPLE.NET  192.0.2.53\n\n  Relevant dates:\n    Registered on: 03-Feb-2001\n",
    ):
        found = registration_of(fields(text))
        assert found.nameservers == ("NS1.EXAMPLE.NET",)
        assert found.created == 981_158_400_000_000


def test_a_comment_is_no_field() -> None:
    assert fields("% created: 2001-02-03\n# status: ok\n>>> Last update: now <<<\n") == {}


def test_no_such_domain_and_no_facts_are_told_apart() -> None:
    assert is_nothing('No match for "NOBODY.EXAMPLE".')
    assert not has_facts(fields("Domain: nobody.example\nStatus: free"))
    assert not is_nothing("Welcome to this service.")


@pytest.mark.parametrize(
    "text",
    [
        "example.nl is free\n\n   Copyright notice\n   No part of this publication may be reproduced\n",
        "No Found\r\n",
        "\nNo_Se_Encontro_El_Objeto/Object_Not_Found\n\n&PARAMETROS VALIDOS:\n",
        "Available\nDomain: example.co.za\n\n>>> Last update of WHOIS database: 2026-12-07T08:15:31Z <<<\n",
        "example.cl: no existe\n",
        "We do not have an entry in our database matching your query.\n",
        "% No data was found to match the request criteria.\n",
        "% IANA WHOIS server\n% This query returned 0 objects.\n",
        "%rwhois V-1.5:003fff:00 whois.example.ma\n%error 230 No Objects Found\n",
        "Domain:\texample.be\nStatus:\tAVAILABLE\n",
    ],
)
def test_every_registry_has_its_own_words_for_a_free_name(text: str) -> None:
    assert is_nothing(text)
    assert not has_facts(fields(text))
    assert refusal_of(text, "whois.example") is None


TERMS = """% You are not authorised to access or query our WHOIS database by electronic processes that are high-volume.
% We may restrict your access, and addresses that exceed the query limit may be blocked or blacklisted.
% After too many queries within a specified time the service will reject further ones; please try again later.
%
"""


@pytest.mark.parametrize(
    ("text", "refusal", "after"),
    [
        ("%%\n%% Too many requests...\n%%\n\n%% No entries found in the AFNIC Database.\n", RateLimited, None),
        ("% WHOIS example.be\n% Maximum queries per hour reached (100)\n", RateLimited, None),
        ("% WHOIS example.eu\n-1: Still in grace period, wait 77 seconds\n", RateLimited, 77.0),
        ("Please go away for 13 Seconds\n", RateLimited, 13.0),
        (
            "    The WHOIS query quota for 192.0.2.1 has been exceeded\n    and will be replenished in 50 seconds.\n",
            RateLimited,
            50.0,
        ),
        ("whois.domain-registry.nl: daily whois-limit exceeded for client 192.0.2.1\n", RateLimited, None),
        ("% Query rate limit exceeded. Reduced information.\n\ndomain:  example.com.br\n", RateLimited, None),
        ("% WHOIS example.be\n% -3: IP address blocked\n", Blocked, None),
        (
            "Requests of this client are not permitted. Please use https://www.nic.ch/whois/ for queries.\n",
            Blocked,
            None,
        ),
        ("version: 5.00\ndomain_name: example.nz\nquery_status: 440 Request Denied\n", Blocked, None),
        ("Service temporarily unavailable.\n", Unreachable, None),
    ],
)
def test_a_refusal_is_told_from_nothing_and_from_the_terms_of_use(
    text: str, refusal: type[SourceError], after: float | None
) -> None:
    said = refusal_of(TERMS + text, "whois.example")
    assert type(said) is refusal
    assert getattr(said, "after", None) == after
    assert refusal_of(TERMS, "whois.example") is None


def test_less_information_for_want_of_quota_still_says_that_nothing_is_there() -> None:
    text = '% Query rate limit exceeded. Reduced information.\n\n% No match for domain "example.com.br"\n'
    assert refusal_of(text, "whois.registro.br") is None
    assert is_nothing(text)


@pytest.mark.parametrize(
    ("text", "created"),
    [
        ("created:     19990518 #162310", "1999-05-18"),
        ("created............: 1.1.1991 00:00:00", "1991-01-01"),
        ("registered:   07.10.1996 02:00:00\n\ncontact:  C1\ncreated:  18.05.2011 23:28:26", "1996-10-07T02:00:00"),
        ("** Additional Info:\nCreated on..............: 2001-Aug-23.", "2001-08-23"),
        ("Registered Date             : 1999. 07. 28.", "1999-07-28"),
        ("record created: 2000.03.25 23:20:39", "2000-03-25T23:20:39"),
        ("   Date registered: 27-05-1999", "1999-05-27"),
        ("domain_dateregistered: 1999-02-17T00:00:00+13:00", "1999-02-16T11:00:00"),
        ("   Record created on 2000-08-29 (YYYY-MM-DD)", "2000-08-29"),
        ("a [Domain Name]      example.my\nc [Record Created]   13-MAY-2009", "2009-05-13"),
        ("Acivated \t: 2009-05-14 00:00:00", "2009-05-14T00:00:00"),
        ("   Fecha de Creacion: 2010-10-27 12:23:43", "2010-10-27T12:23:43"),
        ("domain:Created:20090324", "2009-03-24"),
        ("Registered:\tTue Dec 12 2000", "2000-12-12"),
        ("created:      May 22 2002", "2002-05-22"),
    ],
)
def test_dates_are_read_as_registries_write_them(text: str, created: str) -> None:
    found = fields(text)
    assert has_facts(found)
    assert registration_of(found).created == instant(created)


@pytest.mark.parametrize(
    "text",
    [
        "   Domain nameservers:\n      ns1.example.net        \n      ns2.example.net   2001:db8:0:1:2:3:4:53\n",
        "Nameservers\n  ns1.example.net\n  ns2.example.net\n",
        "Nameservers\nHostname:             ns1.example.net\nHandle:               H1-DK\nHostname:  ns2.example.net\n",
        "Primary Name Server\n   Host Name : ns1.example.net\nSecondary Name Server\n   Host Name : ns2.example.net\n",
        "** Domain Servers:\nns1.example.net\nns2.example.net\n",
        "dns_name            ns1.example.net\ndns_name            ns2.example.net\n",
        "ns_name_01: ns1.example.net\nns_name_02: ns2.example.net\n",
        "Servidor(es) de Nombres de Dominio:\n   - ns1.example.net\n   - ns2.example.net\n",
        "Servidores de nombre (Domain servers):\n    ns1.example.net (192.0.2.53)\n    ns2.example.net\n",
        "NAME SERVER INFORMATION:\nns1.example.net \nns2.example.net \nDNSSEC: Inactive\n",
        "   Domain servers in listed order:\n      ns1.example.net\n      ns2.example.net\n",
        "Primary server.........: ns1.example.net\nSecondary server.......: ns2.example.net\n",
    ],
)
def test_name_servers_are_read_as_registries_write_them(text: str) -> None:
    assert registration_of(fields(text)).nameservers == ("ns1.example.net", "ns2.example.net")


def test_what_stands_in_the_section_of_another_is_none_of_the_domain() -> None:
    found = registration_of(
        fields(
            "Domain:             example.it\nSigned:             no\nCreated:            1999-12-10 00:00:00\n\n"
            "Registrant\n  Organization:     Example Widgets S.r.l.\n  Created:          2013-04-21 01:05:35\n\n"
            "Registrar\n  Organization:     Registrar Example S.p.A.\n  Name:             REGEX-REG\n"
            "  Web:              https://www.registrar.example\n  DNSSEC:           yes\n"
        )
    )
    assert found.signed is False
    assert found.created == instant("1999-12-10")
    assert found.registrar == "Registrar Example S.p.A."
    assert found.registrar_urls == ("https://www.registrar.example",)
    assert [contact.organisation for contact in found.contacts] == ["Example Widgets S.r.l."]


def test_an_empty_field_is_no_heading_of_what_follows() -> None:
    found = registration_of(fields("Registrant:\nDNSSEC: signedDelegation\nCreation Date: 2001-02-03\n"))
    assert found.signed is True
    assert found.created == instant("2001-02-03")


@pytest.mark.parametrize("line", ["MM12383", "GI7803022-NICAT", "GOO001748-MARKM", ""])
def test_a_handle_is_no_name(line: str) -> None:
    assert registration_of(fields(f"registrant:   {line}\nregistrar: REG-EXAMPLE\n")).contacts == ()


def test_a_handle_stands_before_the_name() -> None:
    text = "   Registrant:\n      EXA001748-REGEX\n      Example Widgets B.V.\n"
    assert [contact.name for contact in registration_of(fields(text)).contacts] == ["Example Widgets B.V."]


def test_a_name_in_a_section_is_nobody_in_particular() -> None:
    text = "Registrant\nHandle:               EW656-DK\nName:                 Example Widgets A/S\n"
    contact = registration_of(fields(text)).contacts[0]
    assert (contact.name, contact.handle, contact.kind) == ("Example Widgets A/S", "EW656-DK", "unstated")


@pytest.mark.timeout(10)
@given(st.text(alphabet="ab.:- [#%\n\tdomain:Registrant", max_size=2_000))
def test_any_text_is_read_without_an_error(text: str) -> None:
    registration_of(fields(text))
    is_nothing(text)
    refusal_of(text, "whois.example")
