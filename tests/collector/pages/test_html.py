import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.archetypes.urls import host_in
from services.collector.pages.html import Form, Link, absolute, read_html

URL = "https://www.example.org/a/b?c"


def test_a_document_says_what_it_is_called_and_in_which_language() -> None:
    found = read_html(b"<html lang=en-GB><title> A\n &amp; B </title><svg><title>icon</title></svg>", URL)
    assert (found.title, found.language) == ("A & B", "en-GB")


def test_links_are_absolute_and_know_their_element() -> None:
    body = b"""<a href="/x">1</a><a href=y rel="nofollow me">2</a><a href="//cdn.example.net/z">3</a><img src=i.png>
        <img src=//i.example.net/j.png>
        <script src="https://s.example.org/j.js"></script><iframe src="?f"></iframe><a href="#top">4</a>
        <a href="javascript:void(0)">5</a><a href=" mailto:a@example.org ">6</a><area href=/m>"""
    assert read_html(body, URL).links == (
        Link("a", "https://www.example.org/x", "https://www.example.org"),
        Link("a", "https://www.example.org/a/y", "https://www.example.org", "nofollow me"),
        Link("a", "https://cdn.example.net/z", "https://cdn.example.net"),
        Link("img", "https://i.example.net/j.png", "https://i.example.net"),
        Link("script", "https://s.example.org/j.js", "https://s.example.org"),
        Link("iframe", "https://www.example.org/a/b?f", "https://www.example.org"),
        Link("a", "mailto:a@example.org", "mailto:a@example.org"),
        Link("a", "https://www.example.org/m", "https://www.example.org"),
    )


def test_a_base_element_moves_what_follows() -> None:
    found = read_html(b'<base href="https://other.example.org/deep/"><a href=x>', URL)
    assert found.urls("a") == ["https://other.example.org/deep/x"]


def test_a_page_that_sends_the_browser_on_links_there() -> None:
    found = read_html(b"<meta http-equiv=Refresh content=\"0; URL='https://next.example.org/'\">", URL)
    assert found.links == (Link("refresh", "https://next.example.org/", "https://next.example.org"),)


def test_what_stands_in_a_comment_or_a_script_is_no_link() -> None:
    body = b"<!-- <a href=/no> --><script>document.write('<a href=/no>')</script><noscript><a href=/yes></noscript>"
    assert read_html(body, URL).urls("a") == ["https://www.example.org/yes"]


def test_forms_say_where_they_go_and_what_they_ask_for() -> None:
    body = b"<form action=/in method=POST><input><input type=Password></form><form><input type=file></form>"
    assert read_html(body, URL).forms == (
        Form("https://www.example.org/in", "post", password=True),
        Form(URL, "get", upload=True),
    )


def test_a_password_field_outside_a_form_is_a_form_all_the_same() -> None:
    assert read_html(b"<input type=password>", URL).forms == (Form(URL, "get", password=True),)


def test_metas_icons_and_inline_scripts_are_kept() -> None:
    body = b"""<meta name=Generator content="WordPress 6.5"><meta property=og:site_name content=GitLab>
        <link rel="shortcut icon" href=/f.ico><script>var a = "<b>";</script>
        <script src=/s.js data-website-id="42" async></script>"""
    found = read_html(body, URL)
    assert found.metas == {"generator": "WordPress 6.5", "og:site_name": "GitLab"}
    assert found.icons == ("https://www.example.org/f.ico",)
    assert found.scripts == ('var a = "<b>";',)
    assert found.embeds == ('data-website-id="42"',)


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<title>Łódź</title>".encode("iso-8859-2"), "iso-8859-2"),
        ("<meta charset='windows-1250'><title>Łódź</title>".encode("windows-1250"), ""),
        ("<title>Łódź</title>".encode(), "x-no-such-charset"),
        ("<title>Łódź</title>".encode(), ""),
    ],
)
def test_text_is_read_in_its_charset(body: bytes, charset: str) -> None:
    assert read_html(body, URL, charset).title == "Łódź"


def test_a_page_of_many_tags_loses_no_link_where_it_is_cut() -> None:
    body = b"".join(b'<p class="x"><a href="/%d">%d</a></p>' % (n, n) for n in range(1_900))
    assert read_html(body, URL).urls("a") == [f"https://www.example.org/{n}" for n in range(1_900)]


@pytest.mark.parametrize(
    "unit", [b"[", b"<div>", b"<i><div></i>", b"<div></x>", b"<button><i>", b"<b><i><u><a><p>", b"<!--", b"<a '"]
)
def test_nesting_without_end_is_read_in_linear_time(unit: bytes) -> None:
    body = unit * (600_000 // len(unit))
    started = time.process_time()
    read_html(body, URL)
    assert time.process_time() - started < 3.0


@given(st.text(max_size=60))
def test_any_text_is_a_link_or_none(text: str) -> None:
    assert isinstance(host_in(absolute(text, URL)), str)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document(body: bytes) -> None:
    read_html(body, URL)
