"""What a module may touch: a table of activity, place and rule, and the guard that holds whoever dials."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from services.collector.context import Skipped
from services.collector.item.permit import Permit, guard_for
from services.contracts.authorisations import Authorisation
from services.kernel.egress import Forbidden
from tests.collector.workshop import manifest, plan

RULES = {
    "includes": ["www.example.net", "198.51.100.0/24", "2001:db8:1::/48"],
    "excludes": ["secret.example.com", "198.51.100.66", "2001:db8:1:66::/64"],
}
SOURCE = {"hosts": ("api.example.org", "*.cdn.example.org")}


AT = 1_790_000_000_000_000


def permit(activity: str, *, authorised: bool = True, **fields: object) -> Permit:
    return Permit(manifest("probe", activity, **{"hosts": (), **fields}), plan(authorised=authorised, **RULES), AT)


def allowed(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except Skipped as refusal:
        return not str(refusal)  # whoever is refused is told why
    return True


HOSTS = [
    # host, literal, active, third party (hosts declared), third party that may ask anybody
    ("www.example.com", False, True, False, False),
    ("example.com", False, True, False, False),
    ("www.example.net", False, True, False, False),
    ("secret.example.com", False, False, False, True),
    ("a.secret.example.com", False, False, False, True),
    ("example.net", False, False, False, True),
    ("other.example.org", False, False, False, True),
    ("evilexample.com", False, False, False, True),
    ("api.example.org", False, False, True, True),
    ("a.cdn.example.org", False, False, True, True),
    ("api.example.org.evil.net", False, False, False, True),
    ("198.51.100.1", True, True, False, False),
    ("198.51.100.66", True, False, False, True),
    ("203.0.113.1", True, False, False, True),
    ("2001:db8:1::1", True, True, False, False),
    ("2001:db8:1:66::1", True, False, False, True),
]


@pytest.mark.parametrize(("host", "literal", "active", "source", "anybody"), HOSTS, ids=str)
def test_who_may_talk_to_which_host(host: str, literal: bool, active: bool, source: bool, anybody: bool) -> None:
    def may(activity: str, **fields: object) -> bool:
        return allowed(lambda: permit(activity, **fields).host(host, 443, literal=literal))

    assert may("active") is active
    assert may("passive", **SOURCE) is source
    assert may("dns", **SOURCE) is source
    assert may("passive", hosts=("*",)) is anybody
    for activity in ("passive", "dns", "guess"):
        assert not may(activity)
    assert not may("active", authorised=False)
    assert not may("active", authorised=False, **SOURCE)


ADDRESSES = [
    # address, by its own, by a name in the scope, as a name server
    ("198.51.100.1", True, True, True),
    ("198.51.100.66", False, False, False),
    ("::ffff:198.51.100.66", False, False, False),
    ("203.0.113.1", False, True, True),
    ("2001:db8:1::1", True, True, True),
    ("2001:db8:1:66::1", False, False, False),
    ("2001:db8:2::1", False, True, True),
]


@pytest.mark.parametrize(("address", "itself", "named", "serving"), ADDRESSES, ids=str)
def test_who_may_touch_which_address(address: str, itself: bool, named: bool, serving: bool) -> None:
    active = permit("active")
    assert allowed(lambda: active.address(address, named=False)) is itself
    assert allowed(lambda: active.address(address, named=True)) is named
    assert allowed(lambda: active.name_server(address)) is serving
    for refused in (permit("passive"), permit("dns"), permit("guess"), permit("active", authorised=False)):
        assert not allowed(lambda one=refused: one.address(address, named=True))
        assert not allowed(lambda one=refused: one.name_server(address))


@pytest.mark.parametrize(
    ("server", "may"),
    [
        ("whois.example.org", True),
        ("whois.example.net", False),
        ("whois.example.com", False),
        ("198.51.100.1", False),
        ("1.2", False),
        ("", False),
    ],
)
def test_which_whois_server_may_be_asked(server: str, may: bool) -> None:
    named = permit("passive", hosts=("whois.example.org", "whois.example.com", "198.51.100.1"))
    assert allowed(lambda: named.server(server)) is may


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("198.51.100.66", "excluded"),
        ("::ffff:198.51.100.66", "excluded"),
        ("64:ff9b::198.51.100.66", "excluded"),
        ("2001:db8:1:66::9", "excluded"),
        ("10.0.0.1", "private"),
        ("127.0.0.1", "loopback"),
        ("not an address", "not an address"),
    ],
)
def test_the_guard_of_a_scan_refuses_what_it_excludes_and_what_every_guard_refuses(address: str, reason: str) -> None:
    with pytest.raises(Forbidden, match=reason):
        permit("active").guard.check(address)


def test_a_network_that_a_scan_allows_may_be_dialled_except_for_what_it_excludes() -> None:
    guard = guard_for(("10.1.0.0/16",), ("10.1.66.0/24",))
    guard.check("10.1.0.1")
    for address in ("10.1.66.1", "10.2.0.1"):
        with pytest.raises(Forbidden):
            guard.check(address)


def test_scans_with_the_same_rules_have_the_same_guard_and_others_have_not() -> None:
    assert permit("active").guard is permit("active").guard
    assert permit("passive").guard == permit("dns").guard
    assert hash(permit("passive").guard) == hash(permit("dns").guard)
    assert permit("active").guard != permit("passive").guard
    assert permit("passive").guard != Permit(manifest(), plan(), AT).guard


@pytest.mark.parametrize("address", ["198.51.100.1", "::ffff:198.51.100.1", "64:ff9b::198.51.100.1", "2001:db8:1::1"])
def test_no_name_leads_a_source_into_the_scope(address: str) -> None:
    for activity in ("passive", "dns", "guess"):
        with pytest.raises(Forbidden, match="it is in the scope, which only active modules touch"):
            permit(activity, **SOURCE).guard.check(address)
        permit(activity, **SOURCE).guard.check("203.0.113.1")
    permit("active").guard.check(address)


def test_sources_are_asked_where_sources_answer_and_targets_anywhere() -> None:
    assert allowed(lambda: permit("passive", **SOURCE).host("api.example.org", 80, literal=False))
    assert not allowed(lambda: permit("passive", **SOURCE).host("api.example.org", 8080, literal=False))
    assert allowed(lambda: permit("active").host("www.example.com", 8080, literal=False))


@pytest.mark.parametrize(
    ("techniques", "begins", "until", "may"),
    [
        (("probe",), AT, AT + 1, True),
        (None, None, None, True),
        (("web",), AT, AT + 1, False),
        ((), AT, AT + 1, False),
        (("probe",), AT + 1, AT + 2, False),
        (("probe",), AT - 1, AT, False),
    ],
)
def test_what_is_begun_was_authorised_by_technique_and_time(
    techniques: tuple[str, ...] | None, begins: int | None, until: int | None, may: bool
) -> None:
    allowed = Authorisation("the test", 1, None, techniques, begins, until)
    found = Permit(manifest("probe", "active", hosts=()), replace(plan(**RULES), authorisation=allowed), AT)
    assert allowed_to_touch(found) is may


def allowed_to_touch(permit: Permit) -> bool:
    return allowed(lambda: permit.address("198.51.100.1", named=False))
