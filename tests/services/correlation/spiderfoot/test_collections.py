"""Which events the blocks of a collection select, hand-computed from how the engine of SpiderFoot 4 behaves."""

import pytest

from tests.services.correlation.spiderfoot.tree import Tree, block, found, results

NAMES = [block("type", "INTERNET_NAME")]


def names() -> Tree:
    tree = Tree()
    tree.add_all("INTERNET_NAME", "b.example.org", "a.example.org", "C.example.org")
    tree.add("IP_ADDRESS", "192.0.2.1", "sfp_dnsresolve")
    return tree


def texts(tree: Tree, *blocks: dict) -> list[str]:
    return [text for _, each in found(tree, list(blocks)) for text in each]


def test_a_type_selects_in_the_order_of_texts():
    assert texts(names(), *NAMES) == ["C.example.org", "a.example.org", "b.example.org"]


def test_several_types_are_selected_together_in_the_order_of_texts():
    selected = texts(names(), block("type", "IP_ADDRESS", "INTERNET_NAME"))
    assert selected == ["192.0.2.1", "C.example.org", "a.example.org", "b.example.org"]


def test_a_module_selects_what_it_said_exactly():
    assert texts(names(), block("module", "sfp_dnsresolve")) == ["192.0.2.1"]
    assert texts(names(), block("module", "SFP_DNSRESOLVE", "sfp_other")) == []


def test_a_text_selects_although_spiderfoot_fails_there():
    assert texts(names(), block("data", "192.0.2.1", "a.example.org", "A.example.org")) == [
        "192.0.2.1",
        "a.example.org",
    ]


def test_numbers_are_texts():
    tree = Tree()
    tree.add_all("HTTP_CODE", "404", "200", "4040")
    assert texts(tree, block("type", "HTTP_CODE"), block("data", 404)) == ["404"]


def test_exact_is_the_whole_text_in_its_case():
    assert texts(names(), *NAMES, block("data", "c.example.org")) == []
    assert texts(names(), *NAMES, block("data", "C.example.org")) == ["C.example.org"]


def test_a_regex_is_found_anywhere_whatever_the_case():
    assert texts(names(), *NAMES, block("data", r"^[bc]\.", regex=True)) == ["C.example.org", "b.example.org"]


@pytest.mark.parametrize("regex", [False, True])
@pytest.mark.parametrize(
    ("values", "left"),
    [
        (["not a"], ["b", "c"]),
        (["not   a"], ["b", "c"]),
        (["a", "b"], ["a", "b"]),
        (["not a", "not b"], ["c"]),
        # Where no pattern decides, the last one does.
        (["a", "not b"], ["a", "c"]),
        (["not b", "a"], ["a"]),
        # The first that decides wins.
        (["a", "not a"], ["a", "b", "c"]),
        (["not a", "a"], []),
    ],
)
def test_patterns_of_a_list_decide_one_after_the_other(values, left, regex):
    tree = Tree()
    tree.add_all("INTERNET_NAME", "a", "b", "c")
    assert texts(tree, *NAMES, block("data", *values, regex=regex)) == left


def test_each_block_narrows_what_the_one_before_has_left():
    narrowed = [*NAMES, block("data", "not ^a", regex=True), block("data", "not C.example.org")]
    assert texts(names(), *narrowed) == ["b.example.org"]


def tree_of_parts() -> Tree:
    tree = Tree()
    host = tree.add("INTERNET_NAME", "www.example.org", "sfp_crt")
    url = tree.add("LINKED_URL_INTERNAL", "http://www.example.org/", "sfp_spider", host)
    code = tree.add("HTTP_CODE", "404", "sfp_spider", url)
    tree.add_all("HASH", "1", "2", source=code)
    tree.add("EMAILADDR", "a@example.org", "sfp_email", code)
    tree.add("HTTP_CODE", "500", "sfp_spider", host)
    return tree


CODES = [block("type", "HTTP_CODE")]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        (block("source.type", "LINKED_URL_INTERNAL"), ["404"]),
        (block("source.data", "www.example.org"), ["500"]),
        (block("source.module", "not sfp_crt"), ["404"]),
        (block("entity.data", "www.example.org"), ["404", "500"]),
        (block("entity.type", "LINKED_URL_INTERNAL"), []),
        (block("child.type", "EMAILADDR"), ["404"]),
        # One child is enough, also for a negation; without any nothing passes.
        (block("child.type", "not HASH"), ["404"]),
        (block("child.data", "not 3"), ["404"]),
        (block("child.module", "sfp_email"), ["404"]),
    ],
)
def test_a_part_passes_when_one_of_it_does(condition, left):
    assert texts(tree_of_parts(), *CODES, condition) == left


def test_the_nearest_entity_is_walked_up_to_and_ends_at_the_root():
    tree = Tree()
    deep = tree.add("LINKED_URL_INTERNAL", "http://a/")
    for place in range(3):
        deep = tree.add("LINKED_URL_INTERNAL", f"http://a/{place}", source=deep)
    tree.add("HTTP_CODE", "404", source=deep)
    assert texts(tree, *CODES, block("entity.type", "ROOT")) == ["404"]


def test_of_events_from_one_source_that_is_no_entity_only_the_last_has_an_entity():
    tree = Tree()
    host = tree.add("INTERNET_NAME", "www.example.org")
    url = tree.add("LINKED_URL_INTERNAL", "http://www.example.org/", source=host)
    tree.add_all("HTTP_CODE", "404", "200", "500", source=url)
    tree.add_all("HTTP_CODE", "301", "302", source=host)
    assert texts(tree, *CODES, block("entity.data", "www.example.org")) == ["301", "302", "500"]


def test_the_root_comes_from_itself():
    tree = Tree()
    assert texts(tree, block("type", "ROOT"), block("source.type", "ROOT")) == ["example.org"]
    assert texts(tree, block("type", "ROOT"), block("child.type", "ROOT")) == ["example.org"]


def test_collections_are_joined_one_after_the_other():
    tree = names()
    assert found(tree, NAMES, [block("type", "IP_ADDRESS")], [*NAMES, block("data", "a.example.org")]) == [
        ("", ["C.example.org", "a.example.org", "b.example.org", "192.0.2.1", "a.example.org"])
    ]


def test_nothing_collected_is_nothing_found():
    assert results(names(), [block("type", "EMAILADDR")]) == []
    assert results(names(), [block("type", "EMAILADDR")], by="data") == []
