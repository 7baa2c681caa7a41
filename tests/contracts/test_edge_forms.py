"""Awkward URLs, mailboxes, numbers and addresses, each with the form it has or without one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.claims import Malformed
from services.contracts.entities import (
    ENTITY_TYPES,
    coordinates,
    crypto_address,
    email_address,
    entity,
    file,
    host_of,
    ip_address,
    netblock,
    organization,
    phone_number,
    technology,
    url,
    wifi_network,
)
from services.contracts.entities.chains import chain_of, keccak_256
from tests.examples import examples


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://EXAMPLE.org:80/%7ea/../b", "http://example.org/b"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org:443/", "https://example.org/"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("http://example.org:/", "http://example.org/"),
        ("http://example.org:0080/", "http://example.org/"),
        ("https://user:secret@example.org/", "https://example.org/"),
        ("https://a@b@example.org/", "https://example.org/"),
        ("https://example.org/#fragment", "https://example.org/"),
        ("https://example.org/?", "https://example.org/"),
        ("https://example.org?q=1", "https://example.org/?q=1"),
        ("https://example.org/?q=a b&r=%e9%7E", "https://example.org/?q=a%20b&r=%E9~"),
        ("https://example.org/a//b/", "https://example.org/a//b/"),
        ("https://example.org/%2e%2E/%2e/a", "https://example.org/a"),
        ("https://example.org/a%2fb", "https://example.org/a%2Fb"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("https://example.org/%252e", "https://example.org/%252e"),
        ("https://example.org/<script>", "https://example.org/%3Cscript%3E"),
        ("https://example.org/\x00\u202e\ud800", "https://example.org/%00%E2%80%AE%EF%BF%BD"),
        ("https://example.org/.well-known/security.txt", "https://example.org/.well-known/security.txt"),
        ("https://example.org\\a\\b", "https://example.org/a/b"),
        (" \t\nhttps://exa\nmple.org/\ta", "https://example.org/a"),
        ("HTTPS://Example.ORG./", "https://example.org/"),
        ("https://münchen.de/ü", "https://xn--mnchen-3ya.de/%C3%BC"),
        ("https://ex%61mple.org/", "https://example.org/"),
        ("http://localhost:8080/", "http://localhost:8080/"),
        ("http://192.0.2.1/", "http://192.0.2.1/"),
        ("http://0xC0.0.0x2.01/", "http://192.0.2.1/"),
        ("http://0xc0.0.0x2.0xa/", "http://192.0.2.10/"),
        ("http://3221225985/", "http://192.0.2.1/"),
        ("http://192.0.513/", "http://192.0.2.1/"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"),
        ("http://[::ffff:192.0.2.1]/", "http://192.0.2.1/"),
        ("ftp://example.org/a;type=i", "ftp://example.org/a;type=i"),
        ("wss://example.org/", "wss://example.org/"),
    ],
)
def test_a_url_has_one_form(text: str, normal: str) -> None:
    assert url(text).value == normal
    assert url(normal).value == normal


@examples(300, database=None)
@given(st.text("abcxyz.-_~/?=&%:@09", max_size=30))
def test_a_url_that_looks_normal_is(rest: str) -> None:
    # A space before it keeps the short way from being taken.
    for text in (f"https://example.org{rest}", f"https://example.org/{rest}"):
        try:
            found = url(" " + text)
        except Malformed:
            with pytest.raises(Malformed):
                url(text)
        else:
            assert url(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://", "http:///a", "http:example.org", "//example.org/", "example.org", "mailto:a@example.org"),
        *("javascript://example.org/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "ht tp://example.org/"),
        *("http://[::1", "http://[::1]x/", "http://[192.0.2.1]/", "http://[fe80::1%25eth0]/", "http://a:b:c/"),
        *("http://example.org:0/", "http://example.org:65536/", "http://example.org:８０/", "http://example.org:-1/"),
        *("http://1.2.3.4.5/", "http://256.1.1.1/", "http://4294967296/", "http://09.1.1.1/", "http://a.0x/"),
        *("http://exa mple.org/", "http://exa%00mple.org/", "http://exa<mple.org/", "http://-.org/", "http://?/"),
        *("http://example.org/" + "a" * 9000, "http://example.org/" + "\u65e5" * 3000, "http://" + "a." * 5000),
    ],
)
def test_what_is_no_url_of_a_host_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        url(text)


def test_the_host_of_a_url_is_found() -> None:
    for text, expected in {
        "https://www.example.org:8443/a:b@c": "www.example.org",
        "http://192.0.2.1:8080/": "192.0.2.1",
        "http://[2001:db8::1]:8080/": "2001:db8::1",
    }.items():
        assert host_of(url(text).value) == expected


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Alice@Example.ORG", "alice@example.org"),
        ("a+b@example.org", "a+b@example.org"),
        ('"a+b"@example.org', "a+b@example.org"),
        ('"a b"@example.org', '"a b"@example.org'),
        ('"a\\ b"@example.org', '"a b"@example.org'),
        ('"a@b"@example.org', '"a@b"@example.org'),
        ('"\\""@example.org', '"\\""@example.org'),
        ("o'brien@example.org", "o'brien@example.org"),
        ("jürgen@münchen.de", "jürgen@xn--mnchen-3ya.de"),
        ("MAILTO:a@example.org?cc=b@example.org", "a@example.org"),
        ("a@sub.example.co.uk.", "a@sub.example.co.uk"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    ],
)
def test_a_mailbox_has_one_form(text: str, normal: str) -> None:
    assert email_address(text).value == normal
    assert email_address(normal).value == normal


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a@", "@example.org", "example.org", "a b@example.org", ".a@example.org", "a..b@example.org"),
        *("a.@example.org", '"a@example.org', '""@example.org', 'a"b"@example.org', "a@localhost", "a@192.0.2.1"),
        *("a@[192.0.2.1]", "a@_x.org", "a@*.org", "a\n@example.org", "a\x00@example.org", "a\u202e@example.org"),
        *("Alice <a@example.org>", "a@b@example.org", "x" * 65 + "@example.org", "a@" + "x." * 130 + "org"),
        *("ü" * 40 + "@example.org", "a@example.org, b@example.org", "\ud800@example.org"),
    ],
)
def test_what_is_no_mailbox_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        email_address(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\n", "192.0.2.1"),
        ("2001:DB8::0001", "2001:db8::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("::FFFF:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
    ],
)
def test_an_address_has_one_form(text: str, normal: str) -> None:
    assert ip_address(text).value == normal
    assert ip_address(normal).value == normal


@pytest.mark.parametrize(
    "text",
    [
        *("", "192.0.2", "192.0.2.01", "192.0.2.256", "0x7f.0.0.1", "2130706433", "192.0.2.1/32", "192.0.2.1:80"),
        *(
            "fe80::1%eth0",
            "[::1]",
            ":::",
            "1::2::3",
            "2001:db8::g",
            "::ffff:192.0.2.01",
            "１９２.0.2.1",
            "192.0.2.1\x00",
        ),
        "1:" * 1000,
    ],
)
def test_what_is_no_address_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        ip_address(text)


@pytest.mark.parametrize(
    "text", ["192.0.2.0", "192.0.2.0/33", "192.0.2.0/255.255.255.0", "::/129", "192.0.2/24", "/24", "a/8"]
)
def test_what_is_no_network_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        netblock(text)


@pytest.mark.parametrize(
    "text", ["+44 (0)20 7183 8750", "tel:+442071838750", "+44-20-7183.8750", "+44\u00a020 7183 8750"]
)
def test_a_phone_number_has_one_form(text: str) -> None:
    assert phone_number(text).value == "+442071838750"


@pytest.mark.parametrize(
    "text",
    ["", "020 7183 8750", "0044 20 7183 8750", "+0 123 456 789", "+1", "+1" * 9, "+44207183875x", "+４４2071838750"],
)
def test_what_is_no_international_number_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        phone_number(text)


def test_keccak_is_that_of_ethereum() -> None:
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak_256(b"abc").hex() == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    assert len({keccak_256(b"a" * size) for size in (134, 135, 136, 137, 300)}) == 5


# Vectors of BIP 173, BIP 350 and EIP-55, and well-known addresses of the other chains.
VALID = {
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": "bitcoin",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy": "bitcoin",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": "bitcoin",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0": "bitcoin",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359": "ethereum",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB": "ethereum",
    "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh": "ripple",
    "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t": "tron",
    "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L": "dogecoin",
    "XpESxaUmonkq8RaLLp46Brx2K39ggQe226": "dash",
    "LhK2kQwiaAvhjWY799cZvMyYwnQAcxkarr": "litecoin",
    "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9": "litecoin",
    "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A": "monero",
}


@pytest.mark.parametrize("text", VALID)
def test_the_chain_of_an_address_is_known_by_its_checksum(text: str) -> None:
    assert chain_of(text) == VALID[text]
    assert crypto_address(VALID[text], text).key == (VALID[text], text)


@pytest.mark.parametrize(
    ("chain", "text"),
    [
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),
        ("bitcoin", "bc1QW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd"),
        ("bitcoin", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"),
        ("ethereum", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d35A"),
        ("ethereum", "fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"),
        ("monero", "4" + "A" * 94),
        ("dogecoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("solana", "two words"),
    ],
)
def test_an_address_without_its_checksum_is_malformed(chain: str, text: str) -> None:
    assert chain_of(text) != chain
    with pytest.raises(Malformed):
        crypto_address(chain, text)


def test_constructors_say_what_the_key_says() -> None:
    assert wifi_network("00:00:5e:00:53:01").key == ("bssid", "00:00:5e:00:53:01")
    assert wifi_network(ssid="Café", position="u4pruyd").key == ("ssid", "Café", "u4pruyd")
    assert coordinates(57.64911, 10.40744).key == ("geohash", "u4pruyd")
    assert file("AB" * 32).key == ("sha256", "ab" * 32)
    assert file("ab" * 16).key == ("md5", "ab" * 16)
    assert technology("cpe:/a:igor_sysoev:nginx:1.18.0").value.startswith("cpe:2.3:a:igor_sysoev:nginx:1.18.0:")
    assert organization("name", "Example Ltd").key == ("name", "example ltd", "")


@pytest.mark.parametrize(
    "parts",
    [
        *(("asn", "0"), ("asn", "AS4294967296"), ("asn", "-1"), ("asn", "AS")),
        *(
            ("service", "192.0.2.1", "icmp", "1"),
            ("service", "192.0.2.1", "tcp", "0"),
            ("service", "a.org", "tcp", "1"),
        ),
        *(("dns_record", "example.org", "A", "192.0.2.256"), ("dns_record", "example.org", "MX", "mail.example.org")),
        *(("dns_record", "example.org", "SRV", "1 2 x y"), ("dns_record", "example.org", "S P", "x")),
        *(("organization", "lei", "5493001KJTIIGC8Y1R13"), ("organization", "peeringdb", "1", "GB")),
        *(("organization", "name", "Example", "GBR"), ("location", "country", ""), ("location", "moon", "1")),
        *(("payment_instrument", "card", "4111111111111111", "ab" * 32), ("payment_instrument", "iban", "GB00WEST1")),
        *(("credential", "password", "hunter2"), ("vulnerability", "CVE-21-1"), ("crypto_key", "rsa", "ab" * 32)),
        *(("certificate", "ab" * 20), ("file", "crc32", "abababab"), ("username", "two words"), ("username", "@")),
        *(("technology", "cpe:2.3:a:f5"), ("fingerprint", "favicon_mmh3", str(2**31)), ("breach", "h i", "x")),
        *(("domain",), ("domain", "example.org", "x"), ("asn_number", "1"), ("mac_address", "00:00:5e:00:53")),
    ],
)
def test_what_fits_no_key_is_malformed(parts: tuple[str, ...]) -> None:
    with pytest.raises(Malformed):
        entity(*parts)


def test_every_type_says_what_it_is() -> None:
    for known in ENTITY_TYPES.values():
        assert known.doc.endswith(".")
        assert known.stix
        assert known.parts
        assert list(known.parts) == sorted(known.parts, key=lambda part: part.endswith("?")), "optional parts come last"
