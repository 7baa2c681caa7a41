"""What each key of a rule of our own form means, by results worked out by hand; and what is refused."""

import pytest
import yaml

from services.correlation.domain.instants import UNITS, read_instant, read_span
from services.correlation.domain.reading import read_rule
from services.correlation.domain.testing import run_test
from services.correlation.domain.versions import version_order
from services.kernel.errors import Invalid

HEAD = {
    "id": "a_rule", "version": 1, "title": "t", "category": "dns", "severity": "low", "description": "d",
    "headline": "{host} it is",
}  # fmt: skip
NOW = "2026-06-01"
#: What is said of the one host of the tests below.
HOST = {
    "host": "hostname www.example.org",
    "resolution": "resolved",
    "wildcard": False,
    "domain_rank": 100,
    "created_at": "2026-05-20",
    "listed_by": ["SpamCop", "Spamhaus ZEN"],
    "absent": ["dmarc_policy"],
    "by": ["brute", "permutations"],
    "first_seen": "2026-05-31",
}


async def found(rule: dict[str, object], *facts: object) -> tuple[str, ...]:
    test = {"says": "s", "now": NOW, "facts": [*facts], "finds": []}
    made = read_rule(yaml.safe_dump(HEAD | rule | {"tests": [test]}, sort_keys=False))
    return (await run_test(made, made.tests[0])).found


@pytest.mark.parametrize(
    ("name", "condition", "holds"),
    [
        ("resolution", "resolved", True),
        ("resolution", "RESOLVED", True),
        ("resolution", "stale", False),
        ("resolution", ["stale", "resolved"], True),
        ("resolution", {"not": "stale"}, True),
        ("resolution", {"not": "resolved"}, False),
        ("resolution", {"in": ["stale"]}, False),
        ("resolution", {"not_in": ["stale", "unknown"]}, True),
        ("resolution", {"contains": "SOLV"}, True),
        ("resolution", {"starts": "res", "ends": "ved"}, True),
        ("resolution", {"starts": "res", "ends": "x"}, False),
        ("resolution", {"matches": "^r.*D$"}, True),
        ("resolution", {"matches": "^solved"}, False),
        ("resolution", {"not_matches": "stale"}, True),
        ("wildcard", False, True),
        ("wildcard", True, False),
        ("domain_rank", 100, True),
        ("domain_rank", {"least": 100, "most": 100}, True),
        ("domain_rank", {"above": 100}, False),
        ("domain_rank", {"below": 101}, True),
        ("created_at", {"before": "now-10d"}, True),
        ("created_at", {"before": "now-13d"}, False),
        ("created_at", {"after": "2026-05-19", "before": "2026-05-21"}, True),
        ("listed_by", "SpamCop", True),
        ("listed_by", {"all": {"matches": "^Spam"}}, True),
        ("listed_by", {"all": {"is": "SpamCop"}}, False),
        ("listed_by", {"none": {"is": "UCEPROTECT"}}, True),
        ("listed_by", {"none": {"is": "SpamCop"}}, False),
        ("listed_by", {"contains": "Cop", "starts": "Spamhaus"}, False),  # for one and the same value
        ("listed_by", {"said": True}, True),
        ("soa_primary", {"said": True}, False),
        ("soa_primary", {"unsaid": True}, True),
        ("soa_primary", {"absent": True}, False),  # nobody says one, and nobody said that there is none
        ("dmarc_policy", {"absent": True}, True),
        ("dmarc_policy", {"none": {"is": "reject"}}, True),
        ("dmarc_policy", {"all": {"is": "reject"}}, False),
        ("resolution", {"by": ["brute", "permutations", "crtsh"], "is": "resolved"}, True),
        ("resolution", {"by": ["brute"], "is": "resolved"}, False),  # somebody else says so, too
        ("modules", {"all": {"in": ["brute", "permutations"]}}, True),
        ("sources", 2, True),
        ("sources", {"most": 1}, False),
        ("key.name", {"starts": "www."}, True),
        ("value", {"ends": ".org"}, True),
        ("distance", 0, True),
        ("first_seen", {"after": "now-2d"}, True),
        ("first_seen", {"after": "now-12h"}, False),
        ("confidence", {"least": 1}, True),
        ("confidence", {"least": 100}, False),
    ],
)
async def test_a_condition(name: str, condition: object, holds: bool) -> None:
    rule = {"things": {"host": {"type": "hostname", name: condition}}}
    assert await found(rule, HOST) == (("host",) if holds else ())


@pytest.mark.parametrize(
    ("role", "of", "holds"),
    [
        (None, "in_scope", True),
        (None, "target", True),
        (None, "affiliate", False),
        ("any", "external", True),
        ("affiliate", "affiliate", True),
        (["external", "similar"], "affiliate", False),
    ],
)
async def test_the_role_of_the_first_thing(role: object, of: str, holds: bool) -> None:
    thing = {"type": ["hostname", "domain"]} | ({} if role is None else {"role": role})
    assert await found({"things": {"host": thing}}, HOST | {"role": of}) == (("host",) if holds else ())


ADDRESSES = [{f"a{number}": f"ip_address 192.0.2.{number}", "country": "DE"} for number in range(1, 4)]


@pytest.mark.parametrize(
    ("links", "facts", "finds"),
    [
        (["host resolves_to a"], [], ()),
        (["host resolves_to a"], ["host resolves_to a1"], ("host",)),
        (["host resolves_to a"], ["host resolves_to a1", "host resolves_to a2"], ("host",)),  # one of each first thing
        (["not host resolves_to a"], [], ("host",)),
        (["not host resolves_to a"], ["host resolves_to a1"], ()),
        ([{"from": "host", "relation": ["alias_of", "resolves_to"], "to": "a"}], ["host resolves_to a1"], ("host",)),
        ([{"from": "host", "relation": "any", "to": "a"}], ["host resolves_to a1"], ("host",)),
        (
            [{"from": "host", "relation": "resolves_to", "to": "a", "where": {"ttl": {"most": 60}}}],
            [{"from": "host", "relation": "resolves_to", "to": "a1", "where": {"ttl": 300}}],
            (),
        ),
        (
            [{"from": "host", "relation": "resolves_to", "to": "a", "where": {"record": "A"}}],
            [{"from": "host", "relation": "resolves_to", "to": "a1", "where": {"ttl": 300}}],
            ("host",),
        ),
    ],
)
async def test_links(links: list[object], facts: list[object], finds: tuple[str, ...]) -> None:
    rule = {"things": {"host": {"type": "hostname"}, "a": {"type": "ip_address"}}, "links": links}
    assert await found(rule, HOST, *ADDRESSES, *facts) == finds


@pytest.mark.parametrize(("hops", "holds"), [(1, False), (2, True), (3, True)])
async def test_a_link_over_hops(hops: int, holds: bool) -> None:
    rule = {
        "things": {
            "host": {"type": "hostname", "wildcard": {"said": True}},
            "end": {"type": "hostname", "parked": True},
        },
        "links": [{"from": "host", "relation": "alias_of", "to": "end", "hops": hops}],
    }
    others = [{"b": "hostname b.example.org"}, {"c": "hostname c.example.org", "parked": True}]
    said = await found(rule, HOST, *others, "host alias_of b", "b alias_of c")
    assert said == (("host",) if holds else ())


async def test_an_absent_link_that_must_be_answered_needs_somebody_who_said_so() -> None:
    rule = {
        "things": {"host": {"type": "hostname"}, "server": {"type": "hostname", "role": "any"}},
        "links": [{"from": "host", "relation": "uses_mailserver", "to": "server", "absent": "answered"}],
    }
    assert await found(rule, HOST) == ()
    assert await found(rule, HOST | {"absent": ["uses_mailserver"]}) == ("host",)


@pytest.mark.parametrize(
    ("more", "titles"),
    [
        ({"each": ["host", "a"], "headline": "{a}"}, ("192.0.2.1", "192.0.2.2", "192.0.2.3")),
        (
            {"group": {"by": "host", "count": "a", "least": 3}, "headline": "{count} of {host}"},
            ("3 of www.example.org",),
        ),
        ({"group": {"by": "host", "count": "a", "least": 4}, "headline": "{count}"}, ()),
        ({"group": {"by": "host", "count": "a", "least": 1, "most": 2}, "headline": "{count}"}, ()),
        ({"group": {"by": "host", "count": "a.country", "least": 1}, "headline": "{count} {a.country}"}, ("1 DE",)),
        ({"group": {"by": "a.country", "count": "a", "least": 2}, "headline": "{count} in {a.country}"}, ("3 in DE",)),
        ({"group": {"by": "scan", "count": "host", "least": 1}, "headline": "{count} names"}, ("1 names",)),
        ({"headline": "{host.listed_by} {host.key.name}"}, ("SpamCop, Spamhaus ZEN www.example.org",)),
        ({"headline": "{host.soa_primary}"}, ("?",)),
    ],
)
async def test_findings_of_matches(more: dict[str, object], titles: tuple[str, ...]) -> None:
    rule = {
        "things": {"host": {"type": "hostname"}, "a": {"type": "ip_address"}},
        "links": ["host resolves_to a"],
        "tests": [],
    }
    facts = [HOST, *ADDRESSES, "host resolves_to a1", "host resolves_to a2", "host resolves_to a3"]
    test = {"says": "s", "now": NOW, "facts": facts, "finds": [*titles]}
    made = read_rule(yaml.safe_dump(HEAD | rule | more | {"tests": [test]}, sort_keys=False))
    outcome = await run_test(made, made.tests[0])
    assert outcome.passed, outcome.found


@pytest.mark.parametrize(("span", "most"), [("1d", 1), ("2d", 2), ("9d", 3)])
async def test_what_lies_within_a_span_is_counted(span: str, most: int) -> None:
    days = ["2026-05-01", "2026-05-03", "2026-05-09"]
    dated = [each | {"created_at": at} for each, at in zip(ADDRESSES, days, strict=True)]
    for least in (1, 2, 3):
        rule = {
            "things": {"host": {"type": "hostname"}, "a": {"type": "ip_address"}},
            "links": ["host resolves_to a"],
            "group": {"by": "host", "count": "a", "least": least},
            "within": {"of": "a.created_at", "span": span},
        }
        said = await found(rule, HOST, *dated, *(f"host resolves_to a{number}" for number in range(1, 4)))
        assert bool(said) is (least <= most)


@pytest.mark.parametrize(
    ("countries", "unusual", "found_in"),
    [
        (["DE"] * 9 + ["FR"], {"most": "10%", "usual": "50%", "least": 10}, ["FR"]),
        (["DE"] * 9 + ["FR"], {"most": "9%", "usual": "50%", "least": 10}, []),
        (["DE"] * 9 + ["FR"], {"most": "10%", "usual": "95%", "least": 10}, []),
        (["DE"] * 8 + ["FR"], {"most": "20%", "usual": "50%", "least": 10}, []),
        (["DE"] * 8 + ["FR", "IT"], {"most": "10%", "usual": "50%", "least": 10}, ["FR", "IT"]),
    ],
)
async def test_what_few_have_is_unusual_where_most_have_another(
    countries: list[str], unusual: dict[str, object], found_in: list[str]
) -> None:
    rule = {
        "things": {"a": {"type": "ip_address"}},
        "unusual": {"of": "a.country", **unusual},
        "headline": "{a.country}",
    }
    facts = [{f"a{n}": f"ip_address 192.0.2.{n}", "country": country} for n, country in enumerate(countries)]
    test = {"says": "s", "now": NOW, "facts": facts, "finds": found_in}
    made = read_rule(yaml.safe_dump(HEAD | rule | {"tests": [test]}, sort_keys=False))
    assert (await run_test(made, made.tests[0])).passed


THINGS = {"things": {"host": {"type": "hostname"}, "a": {"type": "ip_address"}}, "links": ["host resolves_to a"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "A"}, "id"),
        ({"version": 0}, "version"),
        ({"severity": "worst"}, "severity"),
        ({"category": "mails"}, "did you mean mail"),
        ({"things": {}}, "things"),
        ({"things": {"host": {"type": "hostnam"}}}, "did you mean hostname"),
        ({"things": {"host": {"type": "hostname", "key.port": 1}}}, "part of the key"),
        ({"things": {"host": {"type": "hostname", "port": 1}}}, "attribute"),
        ({"things": {"host": {"type": "hostname", "wildcard": "yes please"}}}, "true or false"),
        ({"things": {"host": {"type": "hostname", "domain_rank": "first"}}}, "no number"),
        ({"things": {"host": {"type": "hostname", "resolution": {"like": "x"}}}}, "like"),
        ({"things": {"host": {"type": "hostname", "resolution": {"matches": "("}}}}, "regular expression"),
        ({"things": {"host": {"type": "hostname", "created_at": {"before": "soon"}}}}, "instant"),
        ({"things": {"host": {"type": "hostname", "resolution": {"said": True, "is": "x"}}}}, "stands alone"),
        ({"links": ["host presents a"]}, "never leads"),
        ({"links": ["host resolves_to b"]}, "no thing"),
        ({"links": []}, "join"),
        ({"links": ["host resolves_to a", {"from": "host", "relation": "resolves_to", "to": "a", "hops": 9}]}, "hops"),
        ({"each": ["a"]}, "each begins with host"),
        ({"group": {"by": "host"}}, "counted"),
        ({"group": {"by": "host", "count": "a"}, "unusual": {"of": "host.resolution"}}, "exclude"),
        ({"within": {"of": "a.created_at", "span": "2d"}}, "counts in a group"),
        ({"unusual": {"of": "host.resolution", "most": "many"}}, "share"),
        ({"headline": "{c}"}, "headline"),
        ({"headline": "{host.port}"}, "headline"),
        ({"tests": [{"says": "x", "facts": []}]}, "a test"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_what_is_wrong(change: dict[str, object], said: str) -> None:
    read_rule(yaml.safe_dump(HEAD | THINGS, sort_keys=False))
    with pytest.raises(Invalid, match=said):
        read_rule(yaml.safe_dump(HEAD | THINGS | change, sort_keys=False))


def test_instants_and_spans() -> None:
    assert read_instant("now").at(5) == 5
    assert read_instant("now-2w").at(0) == -14 * UNITS["d"]
    assert read_instant("now+3h").at(1) == 1 + 3 * UNITS["h"]
    assert read_instant("1970-01-02").at(99) == UNITS["d"]
    assert read_instant("1970-01-01T00:00:01+00:00").at(99) == 1_000_000
    assert read_span("2y") == 730 * UNITS["d"]
    for text in ("", "now-", "now-3", "tomorrow", "2026-13-01"):
        with pytest.raises(Invalid):
            read_instant(text)
    for text in ("", "2", "2m", "-2d"):
        with pytest.raises(Invalid):
            read_span(text)


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.0rc1", "1.0", "1.0p1", "1.0.1", "1.2", "1.10", "2"],
        ["7.9p1", "8.0p1", "8.2p1", "9.0"],
        ["2.4.49", "2.4.50", "2.4.51"],
        ["1.0-alpha", "1.0-beta", "1.0"],
    ],
)
def test_versions_are_ordered_as_their_makers_mean_them(ordered: list[str]) -> None:
    assert sorted({*ordered}, key=version_order) == ordered


def test_zeros_at_the_end_of_a_version_say_nothing() -> None:
    assert version_order("1.0.0") == version_order("1.0") == version_order("v1")
