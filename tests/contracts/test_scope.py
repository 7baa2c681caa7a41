"""The scope says who is in, the excludes say who is out, and the table says what a role admits."""

import msgspec
import pytest

from services.contracts.claims import Entity, Malformed
from services.contracts.entities import (
    asn,
    certificate,
    dns_record,
    email_address,
    ip_address,
    name,
    netblock,
    service,
    url,
    username,
)
from services.contracts.scope import ACTIVITIES, ADMITTED, ROLES, Scope, rule, scope

SCOPE = scope(
    [
        name("example.org"),
        netblock("192.0.2.0/24"),
        url("https://app.example.com/login"),
        asn(64496),
        username("alice"),
    ],
    includes=["*.example.net", "2001:db8::/32", "198.51.100.7"],
    excludes=["dev.example.org", "*.partner.example.org", "192.0.2.128/25", "2001:db8:dead::/48", "mail.example.net"],
    networks=["10.0.0.0/8"],
)


def test_the_table_of_roles_and_activities() -> None:
    table = {role: [activity for activity in ACTIVITIES if activity in ADMITTED[role]] for role in ROLES}
    assert table == {
        "target": ["passive", "dns", "guess", "active"],
        "in_scope": ["passive", "dns", "guess", "active"],
        "affiliate": ["passive", "dns"],
        "co_hosted": [],
        "similar": [],
        "external": [],
    }


@pytest.mark.parametrize(
    ("found", "role"),
    [
        (name("example.org"), "target"),
        (name("www.example.org"), "in_scope"),
        (name("a.b.c.example.org"), "in_scope"),
        (name("example.com"), None),
        (name("notexample.org"), None),
        (name("example.org.example.com"), None),
        (name("dev.example.org"), None),
        (name("a.dev.example.org"), None),
        (name("devil.example.org"), "in_scope"),
        (name("partner.example.org"), "in_scope"),
        (name("a.partner.example.org"), None),
        (name("example.net"), None),
        (name("a.example.net"), "in_scope"),
        (name("mail.example.net"), None),
        (name("app.example.com"), "in_scope"),
        (name("other.example.com"), None),
        (netblock("192.0.2.0/24"), "target"),
        (netblock("192.0.2.0/25"), "in_scope"),
        (netblock("192.0.2.128/26"), None),
        (netblock("192.0.0.0/16"), None),
        (netblock("0.0.0.0/0"), None),
        (ip_address("192.0.2.127"), "in_scope"),
        (ip_address("192.0.2.128"), None),
        (ip_address("192.0.3.0"), None),
        (ip_address("198.51.100.7"), "in_scope"),
        (ip_address("198.51.100.8"), None),
        (ip_address("2001:db8::1"), "in_scope"),
        (ip_address("2001:db8:dead::1"), None),
        (ip_address("2001:db9::"), None),
        (ip_address("10.0.0.1"), None),
        (service("192.0.2.1", "tcp", 443), "in_scope"),
        (service("192.0.2.200", "tcp", 443), None),
        (url("https://app.example.com/login"), "target"),
        (url("https://app.example.com/other"), "in_scope"),
        (url("https://www.example.org:8443/"), "in_scope"),
        (url("https://dev.example.org/"), None),
        (url("http://192.0.2.1/"), "in_scope"),
        (url("http://192.0.2.130/"), None),
        (url("http://[2001:db8::1]:8080/"), "in_scope"),
        (url("http://localhost/"), None),
        (email_address("alice@example.org"), "in_scope"),
        (email_address("alice@dev.example.org"), None),
        (email_address("alice@example.com"), None),
        (dns_record("_dmarc.example.org", "TXT", "v=DMARC1"), "in_scope"),
        (dns_record("*.example.net", "A", "192.0.2.1"), None),
        (dns_record("*.a.example.net", "A", "192.0.2.1"), "in_scope"),
        (asn(64496), "target"),
        (asn(64497), None),
        (username("alice"), "target"),
        (username("bob"), None),
        (certificate("ab" * 32), None),
    ],
    ids=lambda found: found.value[:40] if isinstance(found, Entity) else None,
)
def test_an_entity_has_its_role_by_name_address_or_network(found: Entity, role: str | None) -> None:
    assert SCOPE.role_of(found) == role
    assert SCOPE.covers(found) == (role is not None and found.type not in ("asn", "username"))


def test_names_and_addresses_are_asked_without_entities() -> None:
    assert SCOPE.covers_name("www.example.org")
    assert not SCOPE.covers_name("a.dev.example.org")
    assert SCOPE.excludes_name("a.dev.example.org")
    assert not SCOPE.excludes_name("www.example.org")
    assert SCOPE.covers_address("192.0.2.1")
    assert SCOPE.excludes_address("192.0.2.200")
    assert SCOPE.excludes_address("::ffff:192.0.2.200")
    assert SCOPE.rules_out(service("192.0.2.200", "tcp", 22))
    with pytest.raises(Malformed):
        SCOPE.covers_address("example.org")


def test_excludes_win_over_the_target_itself() -> None:
    own = scope([name("example.org")], excludes=["example.org"])
    assert own.role_of(name("example.org")) is None
    assert own.role_of(name("www.example.org")) is None


def test_an_empty_scope_covers_nothing() -> None:
    empty = Scope()
    for found in (name("example.org"), ip_address("192.0.2.1"), netblock("0.0.0.0/0"), url("http://192.0.2.1/")):
        assert empty.role_of(found) is None
        assert not empty.rules_out(found)


def test_a_scope_comes_back_from_the_wire_as_it_was() -> None:
    again = msgspec.json.decode(msgspec.json.encode(SCOPE), type=Scope)
    assert again == SCOPE
    assert again.role_of(name("a.dev.example.org")) is None
    assert again.role_of(name("www.example.org")) == "in_scope"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Example.ORG.", "example.org"),
        ("*.Example.org", "*.example.org"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("co.uk", "co.uk"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:DB8::1", "2001:db8::1/128"),
        ("192.0.2.9/24", "192.0.2.0/24"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ],
)
def test_a_rule_has_one_form(text: str, normal: str) -> None:
    assert rule(text) == normal
    assert rule(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "*.", "org", "*.org", "*.*.example.org", "a.*.org", "api-*.example.org", "192.0.2.1-9", "1.2.3"),
        *("http://a.org/", "a b", "x\x00.org"),
    ],
)
def test_what_is_no_rule_is_malformed(text: str) -> None:
    for given in ({"includes": [text]}, {"excludes": [text]}):
        with pytest.raises(Malformed):
            scope([], **given)


@pytest.mark.parametrize("text", ["foo", "intranet.example.org", "*.example.org", ""])
def test_only_networks_can_be_allowed_and_others_are_said_to_be_none(text: str) -> None:
    with pytest.raises(Malformed, match="is not a network"):
        scope([], networks=[text])


def test_thousands_of_rules_are_one_scope() -> None:
    targets = [name(f"host{number}.example{number}.org") for number in range(3000)]
    networks = [f"10.{number >> 8}.{number & 255}.0/25" for number in range(3000)]
    many = scope(targets, includes=networks, excludes=[f"x{number}.example{number}.org" for number in range(3000)])
    for number in (0, 1, 1499, 2999):
        assert many.role_of(targets[number]) == "target"
        assert many.covers_name(f"a.host{number}.example{number}.org")
        assert not many.covers_name(f"example{number}.org")
        assert many.excludes_name(f"a.x{number}.example{number}.org")
        assert many.covers_address(f"10.{number >> 8}.{number & 255}.127")
        assert not many.covers_address(f"10.{number >> 8}.{number & 255}.128")
