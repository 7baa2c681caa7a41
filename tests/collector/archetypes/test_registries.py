import pytest

from services.collector.archetypes.contacts import Contact, contacted, role_of
from services.collector.archetypes.rdap.bootstrap import server_of
from services.collector.archetypes.rdap.numbers import register_of
from services.collector.archetypes.whois import fields, has_facts, is_nothing, registration_of
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
    ["REDACTED FOR PRIVACY", "Domains By Proxy, LLC", "Privacy service provided by X", "Data Protected", "WhoisGuard"],
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
