"""Which names an export of hosts prints, by who said what of them."""

from services.contracts import relations
from services.contracts.claims import Absence, Attribute
from services.contracts.facts import Collected
from tests.services.storage.depot import ADDRESS, WWW, Depot, admitted, result

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")


async def hosts(store: Depot, *results: Collected, everything: bool = False) -> str:
    await store.take(*results, admitted((WWW, "in_scope", 0)))
    return await store.export("hosts", all=everything)


async def test_a_name_that_answered_is_a_host(store: Depot) -> None:
    assert await hosts(store, result("dns_records", WWW, RESOLVES)) == "www.example.org\n"


async def test_an_address_that_a_source_remembers_makes_no_host_of_a_stale_name(store: Depot) -> None:
    remembered = result("hackertarget", WWW, RESOLVES)
    gone = result("dns_records", Attribute(WWW, "response_code", "NXDOMAIN"), Absence(WWW, "resolves_to"))
    assert await hosts(store, remembered, gone) == ""
    assert await hosts(store, everything=True) == "www.example.org\tstale\n"


async def test_an_address_that_a_source_remembers_makes_no_host_of_a_name_that_nobody_could_say(store: Depot) -> None:
    assert await hosts(store, result("hackertarget", WWW, RESOLVES), everything=True) == "www.example.org\tunknown\n"
