import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.pages.robots import Rule, read_robots
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


@pytest.mark.parametrize("pattern", ["/" + "a*" * 500 + "b", "/" + "*" * 1000 + "b$"])
def test_a_pattern_of_many_stars_takes_no_time(pattern: str) -> None:
    robots = read_robots(f"User-agent: *\nDisallow: {pattern}")
    started = time.process_time()
    assert robots.allows("/" + "a" * 20_000, "x")
    assert time.process_time() - started < 0.5


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
