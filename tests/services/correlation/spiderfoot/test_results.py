"""What results say, what a rule looks at, and where one stops that finds nothing."""

import pytest

from services.contracts import entities
from services.contracts.resources.storage import SaidBy
from services.correlation.domain.spiderfoot.engine import evaluate, explain, needed_types, needs
from services.correlation.domain.spiderfoot.event_types import EVENT_TYPES
from services.correlation.domain.spiderfoot.events import Basis, Event, Events
from tests.services.correlation.spiderfoot.tree import Tree, block, results, rule_of

NAMES = [block("type", "INTERNET_NAME")]
WWW, MAIL = entities.name("www.example.org"), entities.name("mail.example.org")


def headlines(tree: Tree, *collections: list, **keys) -> list[str]:
    return [each.headline for each in results(tree, *collections, **keys)]


def test_a_headline_has_what_the_first_event_says():
    tree = Tree()
    host = tree.add("INTERNET_NAME", "www.example.org", "sfp_crt")
    url = tree.add("LINKED_URL_INTERNAL", "http://www.example.org/", "sfp_spider", host)
    tree.add("HTTP_CODE", "500", "sfp_spider", url)
    tree.add("HTTP_CODE", "404", "sfp_spider", url)
    codes = [block("type", "HTTP_CODE")]
    said = headlines(tree, codes, headline="{data} at {source.data} by {module}, {entity.type} {child.data}!")
    # The first text; what comes from one page has an entity once only, and that is not the first.
    assert said == ["404 at http://www.example.org/ by sfp_spider,  !"]


def test_a_headline_has_the_first_line_alone_and_nothing_is_replaced_twice():
    tree = Tree()
    tree.add("TCP_PORT_OPEN_BANNER", "one {type}\r\ntwo\nthree")
    assert headlines(tree, [block("type", "TCP_PORT_OPEN_BANNER")], headline="{data} {DATA} {type}") == [
        "one {type} {DATA} TCP_PORT_OPEN_BANNER"
    ]


def test_a_headline_ends_somewhere():
    tree = Tree()
    tree.add("TCP_PORT_OPEN_BANNER", "x" * 50_000)
    [headline] = headlines(tree, [block("type", "TCP_PORT_OPEN_BANNER")])
    assert headline == "x" * 2_000


def published(*collections: int, by: str = "") -> list[tuple[str, list[str]]]:
    tree = Tree()
    tree.add("NETBLOCK_OWNER", "192.0.2.0/24")
    tree.add("IP_ADDRESS", "192.0.2.7")
    found = results(
        tree,
        [block("type", "NETBLOCK_OWNER")],
        [block("type", "IP_ADDRESS")],
        by=by,
        headline={"text": "{data}", "publish_collections": list(collections)},
    )
    return [(each.headline, [event.data for event in each.events]) for each in found]


def test_only_collections_that_are_published_are_in_results():
    assert published(1) == [("192.0.2.7", ["192.0.2.7"])]
    assert published(0) == [("192.0.2.0/24", ["192.0.2.0/24"])]
    assert published(0, 1) == [("192.0.2.0/24", ["192.0.2.0/24", "192.0.2.7"])]


def test_a_bucket_with_nothing_to_publish_is_no_result():
    assert published(1, by="data") == [("192.0.2.7", ["192.0.2.7"])]


def test_a_result_says_what_it_is_about_and_what_it_rests_on():
    said = SaidBy("tcp_ports", 3, 17, 100, b"s" * 16, (b"e" * 32,))
    root = Event("ROOT", "", "")
    host = Event("INTERNET_NAME", "www.example.org", "m", root, about=WWW, basis=Basis(WWW, said=said))
    port = entities.service("192.0.2.7", "tcp", 22)
    exposed = Basis(WWW, "exposes", target=port, said=said)
    event = Event("TCP_PORT_OPEN", "192.0.2.7:22", "m", host, about=port, basis=exposed)
    events = Events([root, host, event])
    [result] = evaluate(rule_of([block("type", "TCP_PORT_OPEN")], by="source.data"), events)
    assert (result.rule, result.value, result.risk, result.severity) == ("tried", "www.example.org", "HIGH", "high")
    assert result.entities == (WWW, port)
    [ground] = result.grounds
    assert (ground.role, ground.entity.value, ground.predicate) == ("TCP_PORT_OPEN", "www.example.org", "exposes")
    assert ground.target is not None
    assert ground.target.value == "192.0.2.7:22/tcp"
    assert (ground.modules, ground.evidence, ground.at) == (("tcp_ports@3",), ((b"e" * 32).hex(),), 17)


@pytest.mark.parametrize(
    ("collections", "keys", "types"),
    [
        ([NAMES], {}, {"INTERNET_NAME"}),
        ([[block("type", "_OWNER$", regex=True)]], {}, {"NETBLOCK_OWNER", "NETBLOCKV6_OWNER", "BGP_AS_OWNER"}),
        (
            [[block("type", "_OWNER$", regex=True), block("type", "not NET.*", regex=True)], NAMES],
            {},
            {"BGP_AS_OWNER", "INTERNET_NAME"},
        ),
        ([[block("module", "sfp_x"), block("type", "HASH", "DNS_TEXT")]], {}, {"HASH", "DNS_TEXT"}),
        ([[block("module", "sfp_x")]], {}, set(EVENT_TYPES)),
        ([NAMES], {"by": "child.data"}, set(EVENT_TYPES)),
    ],
)
def test_the_types_that_a_rule_can_select_are_known(collections, keys, types):
    assert needed_types(rule_of(*collections, **keys)) == types


def test_what_rules_need_is_joined():
    names = needs(rule_of(NAMES, headline="{child.data}"))
    assert (names.types, names.parents) == ({"INTERNET_NAME"}, {"INTERNET_NAME"})
    said = needs(rule_of([block("module", "sfp_x")], [block("data", "a", "b")]))
    assert (said.types, said.modules, said.data, said.parents) == (set(), {"sfp_x"}, {"a", "b"}, set())
    both = names | said
    assert (both.types, both.modules, both.parents) == ({"INTERNET_NAME"}, {"sfp_x"}, {"INTERNET_NAME"})


def hosts() -> Tree:
    tree = Tree()
    for name in (WWW, MAIL):
        event = tree.add("INTERNET_NAME", name.value)
        event.about = name
    return tree


def stopped(*collections: list, about=None, tree: Tree | None = None, **keys) -> tuple[str, str] | None:
    found = explain(rule_of(*collections, **keys), (tree or hosts()).events, about.id if about else None)
    return (found.stopped.where, found.stopped.what) if found.stopped else None


def threshold(**bounds) -> dict:
    return {"analysis": [{"method": "threshold", "field": "data", **bounds}]}


def test_a_rule_that_finds_something_has_not_stopped():
    assert stopped(NAMES) is None
    assert stopped(NAMES, about=WWW) is None


def test_the_first_condition_that_left_nothing_is_named():
    assert stopped([block("type", "EMAILADDR")]) == ("collections[0].collect[0]", "type is EMAILADDR")
    assert stopped([*NAMES, block("data", "zz", regex=True), block("data", "y")]) == (
        "collections[0].collect[1]",
        "data matches zz",
    )
    assert stopped(NAMES, by="child.data") == ("aggregation", "has a child.data")
    assert stopped(NAMES, by="data", **threshold(minimum=2)) == ("analysis[0]", "threshold")
    unpublished = {"text": "x", "publish_collections": [1]}
    assert stopped(NAMES, [block("type", "EMAILADDR")], headline=unpublished) == ("headline.publish_collections", "1")


def test_a_collection_that_is_empty_stops_nothing_where_another_is_not():
    assert stopped([block("type", "EMAILADDR")], NAMES) is None
    first = stopped([block("type", "EMAILADDR")], NAMES, by="data", **threshold(minimum=2))
    assert first == ("analysis[0]", "threshold")


def test_of_an_entity_the_condition_is_named_that_left_nothing_of_it():
    narrowed = [*NAMES, block("data", "^mail", regex=True)]
    assert stopped(narrowed, about=WWW) == ("collections[0].collect[1]", "data matches ^mail")
    assert stopped(narrowed, about=MAIL) is None
    assert stopped(narrowed, about=entities.name("other.example.org")) == (
        "collections[0].collect[0]",
        "type is INTERNET_NAME",
    )
    steps = explain(rule_of(narrowed), hosts().events, WWW.id).steps
    assert [(step.left, step.asked) for step in steps] == [(2, 1), (1, 0), (1, 0)]


def test_an_entity_is_asked_for_as_what_a_rule_aggregates_by():
    tree = hosts()
    www, mail = tree.made[1:]
    page = tree.add("LINKED_URL_INTERNAL", "https://www.example.org/", source=www)
    for status, source in (("404", page), ("200", mail)):
        tree.add("HTTP_CODE", status, source=source)
    broken = [block("type", "HTTP_CODE"), block("data", "404")]
    assert stopped(broken, about=WWW, tree=tree, by="entity.data") is None
    assert stopped(broken, about=WWW, tree=tree, by="source.data") == (
        "collections[0].collect[0]",
        "type is HTTP_CODE",
    )
    assert stopped(broken, about=MAIL, tree=tree, by="entity.data") == ("collections[0].collect[1]", "data is 404")
    assert stopped(broken, about=MAIL, tree=tree) == ("collections[0].collect[0]", "type is HTTP_CODE")
