import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.pages.contacts import crypto_addresses, email_addresses, phone_numbers


def keys(found: list) -> list[str]:
    return [entity.key[-1] for entity in found]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (b'<a href="mailto:Info@Example.org?subject=x">Info@example.org</a>', ["info@example.org"]),
        (b"jane.doe+news@mail.example.co.uk.", ["jane.doe+news@mail.example.co.uk"]),
        (b"write to sales&#64;example.org", ["sales@example.org"]),
        (b"mailto:%20a%2Bb@example.org", ["a+b@example.org"]),
    ],
)
def test_mailboxes_are_found_as_pages_write_them(text: bytes, addresses: list[str]) -> None:
    assert keys(email_addresses(text)) == addresses


def test_a_mailbox_that_cloudflare_covers_is_uncovered() -> None:
    covered = bytes([0x42]) + bytes(octet ^ 0x42 for octet in b"ops@example.org")
    text = b'<a href="/cdn-cgi/l/email-protection#' + covered.hex().encode() + b'">'
    assert keys(email_addresses(text)) == ["ops@example.org"]


@pytest.mark.parametrize(
    "text",
    [b"/img/logo@2x.png", b"npm i react@18.2.0", b"https://key@host.example.org/1", b"@example.org", b"a@localhost"],
)
def test_what_only_looks_like_a_mailbox_is_none(text: bytes) -> None:
    assert email_addresses(text) == []


@pytest.mark.parametrize(
    ("text", "links", "numbers"),
    [
        (b"Call +44 20 7946 0123 now", [], ["+442079460123"]),
        (b"<td>+1 (202) 555-0143</td>", [], ["+12025550143"]),
        (b"+49 (0)30 123456", [], ["+4930123456"]),
        (b"", ["tel:+44-20-7946-0999", "tel:020%207946%200999", "tel:+15550100;ext=5"], ["+442079460999", "+15550100"]),
    ],
)
def test_phone_numbers_are_links_or_written_with_their_country(
    text: bytes, links: list[str], numbers: list[str]
) -> None:
    assert keys(phone_numbers(text, links)) == numbers


@pytest.mark.parametrize(
    "text", [b"x=+1234567890", b"a + 1 2 3", b"1+44 20 7946 0123", b"+1 2-3 4", b"+999 123 456 789"]
)
def test_arithmetic_is_no_phone_number(text: bytes) -> None:
    assert phone_numbers(text) == []


def test_addresses_on_chains_need_their_checksum() -> None:
    text = b"""Bitcoin: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa or 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb,
        bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq, 0x52908400098527886E0F7030069857D2E4169EE7
        0x52908400098527886e0F7030069857D2E4169EE7"""
    assert keys(crypto_addresses(text)) == [
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "0x52908400098527886E0F7030069857D2E4169EE7",
    ]


@pytest.mark.parametrize("unit", [b"a@a.", b"@a.bc ", b"a@b.cd ", b"+1 23", b"+", b"bc1q", b"0x", b"bitcoin 1"])
def test_monotonous_text_takes_linear_time(unit: bytes) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    email_addresses(text)
    phone_numbers(text)
    crypto_addresses(text)
    assert time.process_time() - started < 2.0


@given(st.binary(max_size=200))
def test_any_bytes_have_contacts_or_none(text: bytes) -> None:
    email_addresses(text + b"@example.org" + text)
    phone_numbers(b"+44 20 " + text)
    crypto_addresses(b"bitcoin " + text)
