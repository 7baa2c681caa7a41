import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.pages.robots import MAX_PATH, MAX_RULES, Rule, read_robots
from services.collector.pages.sitemaps import read_sitemap

FILE = """# for everybody
User-agent: *
User-agent: Mirage # and us
Disallow: /private/
Allow: /private/open$
Disallow: /*.php?
Disallow:

User-agent: GPTBot
Disallow: /
Sitemap: https://www.example.org/sitemap.xml
sitemap:https://shop.example.org/s.xml
"""


def test_rules_belong_to_every_agent_named_above_them() -> None:
    robots = read_robots(FILE)
    rules = (Rule("/private/", allowed=False), Rule("/private/open$", allowed=True), Rule("/*.php?", allowed=False))
    assert robots.groups == {"*": rules, "mirage": rules, "gptbot": (Rule("/", allowed=False),)}
    assert robots.disallowed == ("/private/", "/*.php?", "/")
    assert robots.sitemaps == ("https://www.example.org/sitemap.xml", "https://shop.example.org/s.xml")


@pytest.mark.parametrize(
    ("path", "agent", "allowed"),
    [
        ("/", "mirage", True),
        ("/private/x", "mirage", False),
        ("/private/open", "mirage", True),
        ("/private/open/x", "mirage", False),
        ("/a/b.php?c", "mirage", False),
        ("/a/b.php", "mirage", True),
        ("/anything", "GPTBot", False),
        ("/private/", "somebody else", False),
    ],
)
def test_the_longest_rule_that_matches_decides(path: str, agent: str, *, allowed: bool) -> None:
    assert read_robots(FILE).allows(path, agent) is allowed


def test_of_two_equally_long_rules_the_one_that_allows_wins() -> None:
    assert read_robots("User-agent: *\nDisallow: /a\nAllow: /a").allows("/a", "x")


def test_a_new_agent_after_rules_begins_a_new_group() -> None:
    robots = read_robots("User-agent: a\nDisallow: /a\nUser-agent: b\nDisallow: /b")
    assert not robots.allows("/a", "a")
    assert robots.allows("/b", "a")


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/a*b$", "/a*b$"),
        ("/" + "*" * 1000 + "b$", "/*b$"),
        ("/" + "a*" * 8 + "b$", "/" + "a*" * 8 + "b$"),
        ("/" + "a*" * 9 + "b$", "/" + "a*" * 8 + "a"),
        ("/" + "a*" * 500, "/" + "a*" * 8 + "a"),
    ],
)
def test_a_rule_of_many_stars_forbids_all_that_begins_as_it_does(path: str, read: str) -> None:
    assert read_robots(f"User-agent: *\nDisallow: {path}").groups["*"] == (Rule(read, allowed=False),)


def test_a_rule_of_many_stars_allows_nothing() -> None:
    assert read_robots("User-agent: *\nAllow: /" + "a*" * 9).groups["*"] == ()


def test_a_path_too_long_to_be_matched_is_visited_only_where_there_are_no_rules() -> None:
    path = "/" + "a" * MAX_PATH
    assert not read_robots("User-agent: *\nDisallow: /b").allows(path, "x")
    assert read_robots("").allows(path, "x")


def test_rules_that_are_slow_to_match_take_milliseconds() -> None:
    rules = "".join(f"Disallow: /*{'a' * 120}b{'a' * 120}{number}\n" for number in range(MAX_RULES))
    robots = read_robots("User-agent: *\n" + rules)
    started = time.process_time()
    assert robots.allows("/" + "a" * (MAX_PATH - 1), "x")
    assert time.process_time() - started < 2.0


@given(st.text(max_size=200), st.text(max_size=30))
def test_any_text_is_a_set_of_rules(text: str, path: str) -> None:
    read_robots(text + "\nUser-agent: *\nDisallow: " + text).allows("/" + path, "x")


def test_a_sitemap_is_read_in_xml_in_gzip_and_as_lines() -> None:
    assert read_sitemap(b"<urlset><url><loc> https://a.example/?x=1&amp;y=2 </loc></url></urlset>").urls == (
        "https://a.example/?x=1&y=2",
    )
    index = read_sitemap(b"<?xml version='1.0'?><sitemapindex><sitemap><loc>https://a.example/1.xml</loc></sitemap>")
    assert (index.urls, index.index) == (("https://a.example/1.xml",), True)
    assert read_sitemap(b"https://a.example/\r\nhttps://b.example/x\r\nno url\r\n").urls == (
        "https://a.example/",
        "https://b.example/x",
    )
    assert read_sitemap(b"\x1f\x8bnot gzip").urls == ()
    assert read_sitemap(b"<!doctype html><title>404").urls == ()
