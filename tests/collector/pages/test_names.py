import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.pages.names import hosts_in_urls, names_below
from services.collector.pages.scripts import read_script


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (rb'"https:\/\/api.example.org\/v1"', ["api.example.org"]),
        (b"u=https%3A%2F%2Fcdn.example.org%2Fx", ["cdn.example.org"]),
        (b"u=https%253A%252F%252Fcdn.example.org%252Fx", ["cdn.example.org"]),
        (rb"\nwww.example.org\tmail.example.org", ["www.example.org", "mail.example.org"]),
        (rb"\u002f\u002Fa.example.org \x2fb.example.org", ["a.example.org", "b.example.org"]),
        (b"*.apps.example.org", ["apps.example.org"]),
        (b"WWW.Example.ORG.", ["www.example.org"]),
        (b"ops@mail.example.org", ["mail.example.org"]),
        (b"www.example.org, example.org, www.example.org", ["www.example.org", "example.org"]),
        (b"_dmarc.example.org", ["_dmarc.example.org"]),
    ],
)
def test_a_name_below_the_domain_is_found_behind_escapes(text: bytes, names: list[str]) -> None:
    assert names_below(text, "example.org") == names


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"notexample.org",
            b"example.organic",
            b"www.example.org.uk",
            b"example.org-x",
            b"a..example.org",
            b"example.orgexample.orgs",
        ),
        *(b"example_org", b"example", b""),
    ],
)
def test_what_only_resembles_the_domain_is_no_name(text: bytes) -> None:
    assert names_below(text, "example.org") == []


def test_hosts_stand_in_urls_with_users_ports_and_escaped_slashes() -> None:
    text = rb"""wss://ws.example.org:443/x "https:\/\/u:p@a.example.net\/" HTTPS://B.example.net http://localhost/ http://192.0.2.1/"""
    assert hosts_in_urls(text) == ["ws.example.org", "a.example.net", "b.example.net"]


def test_a_script_names_what_it_calls() -> None:
    code = rb'fetch("https:\/\/api.example.org\/v1/users?x=1"); const h = "ws.example.org"'
    assert names_below(code, "example.org") == ["api.example.org", "ws.example.org"]
    found = read_script(code)
    assert found.hosts == ("api.example.org",)
    assert found.urls == ("https://api.example.org/v1/users",)


@pytest.mark.parametrize(
    "unit", [b"a.example.org", b"example.org ", b"://a.", b"://", b"aaaa.", b"http://a@", b"\\u002f"]
)
def test_monotonous_text_takes_linear_time(unit: bytes) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    names_below(text, "example.org")
    read_script(text)
    assert time.process_time() - started < 2.0


@given(st.binary(max_size=200))
def test_any_bytes_have_names_or_none(text: bytes) -> None:
    names_below(text + b"example.org" + text, "example.org")
    read_script(text + b"example.org" + text)
