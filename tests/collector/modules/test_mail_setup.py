"""SPF records and the tree they make; tokens of providers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.archetypes.mail_providers import microsoft_customer, receiver, sender, verifier
from services.collector.archetypes.spf import (
    Term,
    count_lookups,
    followed,
    is_spf,
    names_in,
    networks_in,
    policy,
    read_terms,
)


def test_terms_are_read_with_qualifier_target_and_prefix() -> None:
    text = "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -a:Out.example.org/28 mx redirect=_spf.example.net. ?all junk:x"
    assert read_terms(text) == [
        Term("+", "ip4", "192.0.2.0", "24"),
        Term("+", "ip6", "2001:db8::", "32"),
        Term("-", "a", "out.example.org", "28"),
        Term("+", "mx", "", ""),
        Term("+", "redirect", "_spf.example.net", ""),
        Term("?", "all", "", ""),
    ]


def test_only_version_one_is_spf() -> None:
    assert is_spf("v=spf1")
    assert is_spf("V=SPF1 -all")
    assert not is_spf("v=spf10 -all")
    assert not is_spf("v=spf2.0/pra -all")


def test_a_redirect_counts_only_where_nothing_matches_all() -> None:
    assert followed(read_terms("v=spf1 redirect=b.example -all")) == []
    assert followed(read_terms("v=spf1 include:a.example redirect=b.example")) == ["a.example", "b.example"]


def test_macros_are_no_names() -> None:
    terms = read_terms("v=spf1 exists:%{i}.x.example include:%{d}.y.example a:z.example")
    assert list(names_in(terms)) == ["z.example"]
    assert followed(terms) == []


def test_networks_keep_their_prefix() -> None:
    assert list(networks_in(read_terms("v=spf1 ip4:192.0.2.1 ip6:2001:db8::/48"))) == ["192.0.2.1", "2001:db8::/48"]


@pytest.mark.parametrize(
    ("text", "said"), [("v=spf1 -all", "-all"), ("v=spf1 all", "+all"), ("v=spf1 mx", "?all"), ("v=spf1 ~ALL", "~all")]
)
def test_the_policy_is_what_is_said_of_the_rest(text: str, said: str) -> None:
    assert policy(read_terms(text)) == said


def test_lookups_are_those_of_the_whole_tree() -> None:
    records = {
        "top.example": "v=spf1 a mx ptr include:one.example include:two.example ip4:192.0.2.1 -all",
        "one.example": "v=spf1 include:three.example -all",
        "two.example": "v=spf1 exists:x.example ~all",
        "three.example": "v=spf1 ip4:192.0.2.2 -all",
    }
    assert count_lookups("top.example", records.get) == 7


def test_a_record_that_includes_itself_is_over_the_limit_and_ends() -> None:
    assert count_lookups("a.example", {"a.example": "v=spf1 include:a.example -all"}.get) > 10


def test_a_tree_that_branches_without_end_is_given_up_soon() -> None:
    record = "v=spf1 " + " ".join(f"include:n{number}.example" for number in range(200))
    started = time.process_time()
    assert count_lookups("a.example", lambda _: record) > 10
    assert time.process_time() - started < 1


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for term in read_terms("v=spf1 " + text):
        assert term.qualifier in "+-~?"
    verifier(text)


@pytest.mark.parametrize(
    ("text", "provider"),
    [
        ("MS=ms74629150", "Microsoft 365"),
        ("google-site-verification=wD8N7i1JTNTkezJ49swvWW48f8_9xveREV4oB-0Hf5o", "Google"),
        ("facebook-domain-verification=abc", "Meta"),
        ("atlassian-sending-domain-verification=abc", "Atlassian"),
        ("some-vendor-domain-verification=abc", "some vendor"),
        ("v=DKIM1; p=abc", None),
        ("a note to readers", None),
    ],
)
def test_a_token_names_who_asked_for_it(text: str, provider: str | None) -> None:
    assert verifier(text) == provider


def test_providers_are_known_by_the_end_of_a_name() -> None:
    assert receiver("example-org.mail.protection.outlook.com") == "Microsoft 365"
    assert receiver("notgoogle.com") is None
    assert sender("u123.wl.sendgrid.net") == "SendGrid"
    assert sender("mail.example.org") is None


@pytest.mark.parametrize(
    ("key", "customer"),
    [
        ("selector1-example-org._domainkey.widgets.onmicrosoft.com", "widgets.onmicrosoft.com"),
        ("selector2-Example-org._domainkey.Widgets.r-v1.dkim.mail.microsoft.", "widgets.onmicrosoft.com"),
        ("selector1-example-org._domainkey.widgets.example.net", None),
        ("selector1._domainkey.onmicrosoft.com", None),
        ("dkim.mcsv.net", None),
    ],
)
def test_a_key_at_microsoft_names_the_tenant(key: str, customer: str | None) -> None:
    assert microsoft_customer(key) == customer
