import pytest

from services.collector.archetypes.names import name_below, names_below, seen_names
from services.collector.archetypes.passive_dns import Sighting, records
from services.collector.archetypes.times import instant
from services.collector.archetypes.urls import host_in, is_telling, pages_below
from services.contracts import entities
from services.contracts.claims import Entity, Relation

DOMAIN = entities.domain("example.org")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("www.example.org", "www.example.org"),
        ("*.apps.Example.ORG.", "apps.example.org"),
        ("example.org", "example.org"),
        ("notexample.org", None),
        ("example.org.evil.test", None),
        ("*foo.example.org", None),
        ("_dmarc.example.org", None),
        ("a" * 400 + ".example.org", None),
    ],
)
def test_only_names_at_or_below_the_subject_are_taken(text: str, name: str | None) -> None:
    found = name_below(text, DOMAIN)
    assert (found.key[0] if found else None) == name


def test_a_name_is_claimed_once_over_all_its_sightings() -> None:
    seen = [("www.example.org", (5, 6)), ("WWW.example.org", (1, None)), ("www.example.org", (None, 9))]
    (claim,) = seen_names(seen, DOMAIN)
    assert (claim.valid_from, claim.valid_to) == (1, 9)


def test_a_source_cannot_say_more_than_so_many_names() -> None:
    assert len(list(names_below((f"h{number}.example.org" for number in range(100)), DOMAIN, 10))) == 10


def test_an_address_learns_only_what_led_to_it() -> None:
    here = entities.ip_address("192.0.2.1")
    claims = list(records([Sighting("a.example", "192.0.2.1"), Sighting("b.example", "192.0.2.2")], here))
    assert [claim.key for claim in claims if isinstance(claim, Entity)] == [("a.example",)]
    assert [claim.target for claim in claims if isinstance(claim, Relation)] == [here]


def test_a_domain_keeps_a_name_whose_record_says_nothing() -> None:
    (claim,) = records([Sighting("gone.example.org", "NXDOMAIN", "A")], DOMAIN)
    assert claim == entities.name("gone.example.org")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://User:pw@WWW.example.org:8443/x?y", "www.example.org"),
        ("http://example.org.", "example.org"),
        ("https://[2001:db8::1]:8443/", "2001:db8::1"),
        ("https://www.example.org?x=//evil.example", "www.example.org"),
        ("https://www.example.org\\@evil.example/", "www.example.org"),
        (f"https://{'a' * 500}@www.example.org.evil.example/", "www.example.org.evil.example"),
        ("//cdn.example.net", "cdn.example.net"),
        ("mailto:a@example.org", ""),
        ("mailto:a@example.org?body=//evil.example", ""),
        ("nonsense", ""),
    ],
)
def test_the_host_in_a_url_is_the_one_a_browser_would_ask(url: str, host: str) -> None:
    assert host_in(url) == host


def test_few_urls_are_kept_and_only_telling_ones() -> None:
    assert is_telling("https://example.org/.git/config")
    assert is_telling("https://example.org/db.sql?x=1")
    assert not is_telling("https://example.org/news/administration-of-things")
    many = [(f"https://example.org/api/{number}", (None, None)) for number in range(1000)]
    assert len(list(pages_below(many, DOMAIN))) == 200


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:01+01:00", 1_000_000),
        ("1970-01-01 00:00:01.5", 1_500_000),
        ("never", None),
        ("", None),
        (None, None),
        ("9" * 100, None),
        ("0001-01-01T00:00:00+23:59", -62135683140000000),
    ],
)
def test_instants_are_utc_microseconds(text: str | None, micros: int | None) -> None:
    assert instant(text) == micros
