"""Host names as they are met, and where their registrable part begins."""

import subprocess
import sys
from pathlib import Path

import pytest
from publicsuffixlist import PublicSuffixList

from services.contracts import names
from services.contracts.claims import Malformed
from services.contracts.entities import domain, hostname, name, registered_domain
from services.contracts.names import host, list_version, owner, registrable, unwildcard

LABEL_63 = "a" * 63
NAME_253 = ".".join([LABEL_63, LABEL_63, LABEL_63, "a" * 61])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("www.example.org", "www.example.org"),
        ("WWW.Example.ORG.", "www.example.org"),
        ("  www.example.org\n", "www.example.org"),
        ("r1---sn-4g5e6nez.googlevideo.com", "r1---sn-4g5e6nez.googlevideo.com"),
        ("my_host.example.org", "my_host.example.org"),
        ("1.example.org", "1.example.org"),
        ("123.456.example", "123.456.example"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("MÜNCHEN.DE", "xn--mnchen-3ya.de"),
        ("mu\u0308nchen.de", "xn--mnchen-3ya.de"),
        ("faß.de", "xn--fa-hia.de"),
        ("ＷＷＷ．example。org", "www.example.org"),
        ("ex\u00adample.org", "example.org"),
        ("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
        ("i❤.ws", "xn--i-7iq.ws"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("localhost", "localhost"),
        (f"{LABEL_63}.org", f"{LABEL_63}.org"),
        (NAME_253, NAME_253),
        (NAME_253 + ".", NAME_253),
    ],
)
def test_a_host_name_has_one_form(text: str, normal: str) -> None:
    assert host(text) == normal
    assert host(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "example..org", ".example.org", "example.org..", " . "),
        *("-a.example.org", "a-.example.org", "a.-example.org", "_dmarc.example.org", "a._tcp.example.org"),
        *("*.example.org", "*", "a*b.example.org", "exa mple.org", "example.org/", "example.org:80", "a@example.org"),
        *("192.0.2.1", "1.2.3", "256.1.1.1", "example.0x7f", "example.123", "１９２.0.2.1", "2001:db8::1", "[::1]"),
        *("exa\x00mple.org", "exa\u202emple.org", "\ud800.org", "exa\nmple.org", "a\\.example.org", "％41.org"),
        *("xn--.org", "xn--a.org", "xn--example-.org", "xn--999999999999.org", "xn--ls8h-"),
        *("xn--xn---epa.org", "xn--Mnchen-3ya\u0301.de", "\u200dexample.org", "\u0301a.org", "א1a.org"),
        *(LABEL_63 + "a.org", NAME_253 + "a", "a." * 127 + "aa", "ü" * 64 + ".de", "x" * 100_000, "ü" * 100_000),
    ],
)
def test_what_is_no_host_name_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as error:
        host(text)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("_dmarc.Example.org.", "_dmarc.example.org"),
        ("*.example.org", "*.example.org"),
        ("_sip._tcp.example.org", "_sip._tcp.example.org"),
        ("64/26.2.0.192.in-addr.arpa", "64/26.2.0.192.in-addr.arpa"),
        ("1.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa"),
        ("_x.münchen.de", "_x.xn--mnchen-3ya.de"),
    ],
)
def test_records_are_owned_by_more_than_host_names(text: str, normal: str) -> None:
    assert owner(text) == normal
    assert owner(normal) == normal


@pytest.mark.parametrize("text", ["a.*.example.org", "**.b.org", "a b.org", "", "a..b", "x\x00.org", "a" * 64 + ".b"])
def test_what_no_record_is_owned_by_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        owner(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("example.org", "domain"),
        ("www.example.org", "hostname"),
        ("example.co.uk", "domain"),
        ("www.example.co.uk", "hostname"),
        ("something.github.io", "hostname"),
        ("github.io", "domain"),
        ("s3.amazonaws.com", "hostname"),
        ("city.kawasaki.jp", "domain"),
        ("a.city.kawasaki.jp", "hostname"),
        ("a.b.kawasaki.jp", "domain"),
        ("www.ck", "domain"),
        ("a.b.ck", "domain"),
        ("host.internal", "domain"),
        ("食狮.公司.cn", "domain"),
    ],
)
def test_a_name_is_a_domain_or_below_one(text: str, kind: str) -> None:
    found = name(text)
    assert found.type == kind
    assert (domain if kind == "domain" else hostname)(text) == found
    with pytest.raises(Malformed):
        (hostname if kind == "domain" else domain)(text)


@pytest.mark.parametrize("text", ["org", "co.uk", "CO.UK.", "b.kawasaki.jp", "b.ck", "kobe.jp", "公司.cn", "localhost"])
def test_a_public_suffix_is_neither(text: str) -> None:
    for constructor in (name, domain, hostname, registered_domain):
        with pytest.raises(Malformed):
            constructor(text)


def test_the_registrable_part_is_what_the_package_says() -> None:
    reference = PublicSuffixList(only_icann=True)
    text = (Path(sys.modules["publicsuffixlist"].__file__ or "").parent / "public_suffix_list.dat").read_text("utf-8")
    rules = {line.split()[0].lstrip("!").removeprefix("*.") for line in text.splitlines() if line and line[:2] != "//"}
    for rule in [host(rule) for rule in rules]:
        for tried in (rule, f"x.{rule}", f"y.x.{rule}", f"z.y.x.{rule}"):
            try:
                found = registrable(tried)
            except Malformed:
                found = None
            assert found == reference.privatesuffix(tried), tried


def test_the_version_of_the_list_is_known() -> None:
    assert list_version()[:2] == "20"
    assert "_UTC" in list_version()


def test_wildcards_are_stripped_on_request_only() -> None:
    assert unwildcard("*.example.org") == "example.org"
    assert unwildcard(" *.*.example.org") == "example.org"
    assert unwildcard("a.*.example.org") == "a.*.example.org"


def test_the_list_and_the_idna_tables_wait_for_the_first_question() -> None:
    code = (
        "import sys, services.contracts.targets as t, services.contracts.names as n\n"
        "assert n._rules is None and not {'idna', 'publicsuffixlist', 'phonenumbers'} & sys.modules.keys()\n"
        "t.recognise('www.example.org')\n"
        "assert n._rules is not None and not {'idna', 'publicsuffixlist'} & sys.modules.keys()\n"
    )
    root = Path(names.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
