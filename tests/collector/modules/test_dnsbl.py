"""Return codes of block lists: what they mean, and that no code is made up."""

import pytest

from services.collector.modules.dnsbl import ADDRESS_LISTS, BY_ZONE, NAME_LISTS, meanings_of, questions
from services.contracts import entities


@pytest.mark.parametrize(
    ("zone", "code", "meanings"),
    [
        ("zen.spamhaus.org", "127.0.0.4", ["XBL: hijacked or infected machine"]),
        ("zen.spamhaus.org", "127.0.0.7", ["XBL: hijacked or infected machine"]),
        ("zen.spamhaus.org", "127.0.0.99", []),
        ("zen.spamhaus.org", "192.0.2.1", []),
        ("multi.surbl.org", "127.0.0.24", ["phishing", "malware"]),
        ("multi.surbl.org", "127.0.0.32", ["click tracker"]),
        ("multi.surbl.org", "127.0.1.8", []),
        ("multi.uribl.com", "127.0.0.14", ["black: in unwanted mail", "grey: in bulk mail", "red: new and unclear"]),
        ("bl.spamcop.net", "nonsense", []),
    ],
)
def test_a_code_means_what_its_list_documents(zone: str, code: str, meanings: list[str]) -> None:
    assert meanings_of(BY_ZONE[zone], code) == meanings


def test_refusals_are_no_listings() -> None:
    for one in (*ADDRESS_LISTS, *NAME_LISTS):
        assert not any(meanings_of(one, code) for code in one.refusals)


def test_addresses_are_asked_for_in_reverse_and_ipv6_by_nibble() -> None:
    assert questions(entities.ip_address("192.0.2.66"))[0] == "66.2.0.192.zen.spamhaus.org"
    asked = questions(entities.ip_address("2001:db8::1"))
    assert asked[0].startswith("1.0.0.0.")
    assert asked[0].endswith(".8.b.d.0.1.0.0.2.zen.spamhaus.org")
    assert len(asked) == sum(one.ipv6 for one in ADDRESS_LISTS)
    assert questions(entities.domain("example.org"))[0] == "example.org.dbl.spamhaus.org"
