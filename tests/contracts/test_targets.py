"""Targets are recognised by their form; anything else gets one clear sentence."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.contracts.claims import Entity, Malformed
from services.contracts.targets import TARGET_TYPES, recognise
from tests.examples import examples


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("example.org", "domain", "example.org"),
        ("  Example.ORG. \n", "domain", "example.org"),
        ("www.example.co.uk", "hostname", "www.example.co.uk"),
        ("münchen.de", "domain", "xn--mnchen-3ya.de"),
        ("例え.jp", "domain", "xn--r8jz45g.jp"),
        ("exаmple.org", "domain", "xn--exmple-4nf.org"),
        ("192.0.2.1", "ip_address", "192.0.2.1"),
        ("2001:DB8::1", "ip_address", "2001:db8::1"),
        ("[2001:db8::1]", "ip_address", "2001:db8::1"),
        ("::ffff:192.0.2.1", "ip_address", "192.0.2.1"),
        ("192.0.2.7/24", "netblock", "192.0.2.0/24"),
        ("2001:db8::/32", "netblock", "2001:db8::/32"),
        ("AS64496", "asn", "AS64496"),
        ("as 64496", "asn", "AS64496"),
        ("https://example.org/a?b", "url", "https://example.org/a?b"),
        ("HTTP://EXAMPLE.org:80", "url", "http://example.org/"),
        ("Alice+tag@Example.org", "email_address", "alice+tag@example.org"),
        ("mailto:alice@example.org", "email_address", "alice@example.org"),
        ("@Alice_99", "username", "alice_99"),
        ("+44 20 7183 8750", "phone_number", "+442071838750"),
        (
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "crypto_address",
            "ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "crypto_address", "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("d41d8cd98f00b204e9800998ecf8427e", "file", "md5:d41d8cd98f00b204e9800998ecf8427e"),
        ("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", "file", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("ab" * 32, "file", "sha256:" + "ab" * 32),
        ("ab" * 64, "file", "sha512:" + "ab" * 64),
        ("Example Ltd", "organization", "example ltd"),
        ("Example Ltd (gb)", "organization", "example ltd (GB)"),
        ("Müller GmbH & Co. KG", "organization", "müller gmbh & co. kg"),
        ("3M Company", "organization", "3m company"),
    ],
)
def test_a_target_is_recognised_by_its_form(text: str, kind: str, value: str) -> None:
    found = recognise(text)
    assert (found.type, found.value) == (kind, value)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("alice", "username", "alice"),
        ("alice.example", "username", "alice.example"),
        ("Example", "organization", "example"),
        ("example.org", "organization", "example.org"),
        ("64496", "asn", "AS64496"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "crypto_address", "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ],
)
def test_a_type_that_is_said_decides(text: str, kind: str, value: str) -> None:
    found = recognise(text, kind)
    assert (found.type, found.value) == (kind, value)


HOSTILE = [
    *("", "   ", "\n", "word", "12345", "...", "-", "--help", "-oProxyCommand=touch", "*.example.org"),
    *("_dmarc.example.org", "co.uk", "org", "localhost", "example..org", "-a.example.org", "exa mple/x"),
    *("../../etc/passwd", "C:\\Windows", "javascript:alert(1)", "data:text/html,<script>", "file:///etc/passwd"),
    *("gopher://example.org/", "http://", "http://[::1", "192.0.2", "192.0.2.256", "192.0.2.1/33"),
    *("192.0.2.1-192.0.2.9", "0x7f.0.0.1", "2001:db8::1%eth0", "2001:db8::/129", "AS0", "AS99999999999", "a@b"),
    *("a@", "@", "@@", "a b@example.org", "+1", "+44 abc", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"),
    *("example.org:8080", "example.org/path", "example.org\nexample.net", "exa\x00mple.org", "\u202egro.elpmaxe"),
    *("exam\ud800ple.org", "<script> alert", "'; DROP TABLE scan; --", "$(id).example.org", "`id`"),
    *("${jndi:ldap://x}", "1 2 3", "- - -", "( )"),
    *("x" * 5000, "a." * 1000 + "org"),
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_what_is_no_target_gets_one_sentence(text: str) -> None:
    try:
        found = recognise(text)
    except Malformed as error:
        said = str(error)
    else:
        # A few words are an organisation's name, whatever they are; nothing else is let through.
        assert found.type == "organization"
        assert " " in text
        return
    assert said
    assert "\n" not in said
    assert len(said) < 800
    assert said.isprintable()


def test_a_type_that_cannot_be_a_target_is_malformed() -> None:
    for kind in ("certificate", "", "no such type"):
        with pytest.raises(Malformed, match="type of target"):
            recognise("example.org", kind)
    for kind in TARGET_TYPES:
        with pytest.raises(Malformed):
            recognise("\x00", kind)


@examples(300, database=None)
@given(st.one_of(st.text(st.characters()), st.text("0123456789abcdefx.:/@+-*[]% AS()", max_size=45)))
@example("[]")
@example("::/")
@example("%")
def test_any_text_is_a_target_or_malformed(text: str) -> None:
    for kind in (None, *TARGET_TYPES):
        try:
            assert isinstance(recognise(text, kind), Entity)
        except Malformed:
            continue
