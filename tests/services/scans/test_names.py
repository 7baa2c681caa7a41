"""Sets of names, and levels of the DNS."""

from services.contracts.commands import Collect
from services.contracts.entities import name
from services.contracts.plan import Limits
from services.contracts.resources import NamesQuery
from services.contracts.scope import scope
from services.contracts.subjects import Level, NamesDigest
from services.scans import api, settings
from services.scans.domain.items import DEEPEST_LEVEL, levels_above, zone_of
from tests.services.scans.conftest import OpenDesk
from tests.services.scans.desk import CALLER, answers, module

NAMES = module("names", "passive", "domain")
DNS = module("dns", "dns", "hostname")
PERMUTATIONS = module("permutations", "guess", "names")
ORG = scope([name("example.org")])


async def test_sets_of_names_are_handed_out_when_all_else_is_quiet(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS, PERMUTATIONS)
    scan = await desk.create("example.org", "example.net")
    rounds: list[dict[str, list[str]]] = []

    async def check(command: Collect) -> None:
        assert (await desk.scan(scan)).items["waiting"] == 0
        round_: dict[str, list[str]] = {}
        for item in command.items:
            assert isinstance(item.subject, NamesDigest)
            assert (item.role, item.distance) == ("in_scope", 0)
            known = await api.get_names(desk.ports, CALLER, NamesQuery(scan, item.subject.digest))
            assert known.zone == item.subject.zone
            assert len(known.names) == item.subject.count
            assert list(known.names) == sorted(known.names)
            before = next((earlier[known.zone] for earlier in reversed(rounds) if known.zone in earlier), None)
            assert known.fresh == (None if before is None else tuple(sorted({*known.names} - {*before})))
            round_[known.zone] = list(known.names)
        rounds.append(round_)

    def world(asked: str, item: object) -> list[object]:
        if asked == "names":
            return [name(f"{label}.{item.subject.value}") for label in ("www", "dev")]
        if asked == "permutations" and item.subject.zone == "example.org":
            return [name(f"dev{len(rounds)}.example.org")]
        return []

    for _ in range(20):
        commands = await desk.commands()
        if not commands:
            break
        for command in commands:
            if command.module == "permutations":
                assert len(commands) == 1, "nothing else is in flight"
                await check(command)
            await desk.take(*answers(command, world))
    assert (await desk.scan(scan)).state == "finished"
    org, net = ["dev.example.org", "example.org", "www.example.org"], ["dev.example.net", "example.net"]
    assert rounds == [
        {"example.org": org, "example.net": [*net, "www.example.net"]},
        {"example.org": ["dev.example.org", "dev1.example.org", *org[1:]]},
        {"example.org": ["dev.example.org", "dev1.example.org", "dev2.example.org", *org[1:]]},
    ], "a zone without new names is not asked again, and the rounds are bounded"
    assert len(rounds) == settings.NAME_ROUNDS


async def test_levels_are_handed_out_once_for_every_name_that_has_names_below(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, module("brute", "guess", "domain", "hostname", "level"))
    scan = await desk.create("example.org")
    found = [name(text) for text in ("a.eu.example.org", "b.eu.example.org", "c.d.eu.example.org", "x.example.org")]
    await desk.run(lambda asked, item: found if asked == "names" else [])
    items = [item for command in await desk.all_said(Collect) if command.module == "brute" for item in command.items]
    levels = sorted(item.subject.zone for item in items if isinstance(item.subject, Level))
    assert levels == ["d.eu.example.org", "eu.example.org"]
    assert {item.role for item in items if isinstance(item.subject, Level)} == {"in_scope"}
    hosts = sorted(item.subject.value for item in items if not isinstance(item.subject, Level))
    assert hosts == sorted(["example.org", *(each.value for each in found)])
    assert (await desk.scan(scan)).entities == {"domain": 1, "hostname": 4}, "a level is no entity"


async def test_a_host_that_is_a_target_is_a_level(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("brute", "guess", "level"))
    await desk.create("dev.example.org")
    (command,) = await desk.commands()
    assert [item.subject for item in command.items] == [Level("dev.example.org")]


def test_levels_lie_between_a_name_and_its_domain_and_inside_the_scope() -> None:
    assert list(levels_above("example.org", ORG)) == []
    assert list(levels_above("www.example.org", ORG)) == []
    assert list(levels_above("a.b.c.example.org", ORG)) == ["b.c.example.org", "c.example.org"]
    only = scope([name("c.example.org")])
    assert list(levels_above("a.b.c.example.org", only)) == ["b.c.example.org", "c.example.org"]
    without = scope([name("example.org")], excludes=["c.example.org"])
    assert list(levels_above("www.example.org", without)) == []
    deep = ".".join(["x"] * 40) + ".example.org"
    assert len(list(levels_above(deep, ORG))) == DEEPEST_LEVEL


def test_a_set_is_called_after_the_topmost_name_in_scope() -> None:
    assert zone_of("a.b.example.org", ORG) == "example.org"
    assert zone_of("example.org", ORG) == "example.org"
    assert zone_of("a.b.dev.example.org", scope([name("dev.example.org")])) == "dev.example.org"
    assert zone_of("b.example.org", scope([name("x.test")], includes=["*.example.org"])) == "b.example.org"


async def test_no_more_items_are_made_than_the_limit_says(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS, PERMUTATIONS)
    scan = await desk.create("example.org", limits=Limits(max_items=4))
    hosts = [name(f"h{number}.example.org") for number in range(10)]
    await desk.run(lambda asked, item: hosts if asked == "names" else [])
    ended = await desk.scan(scan)
    assert (ended.state, ended.reason) == ("incomplete", "the limit of 4 work items was reached")
    assert ended.items["done"] == 4
    assert ended.entities["hostname"] == 10, "what was found is there, only not asked about"
    standings = [await api.get_standing(desk.ports, CALLER, api.r.StandingQuery(scan, host.value)) for host in hosts]
    assert sorted(standing.reason for standing in standings) == [""] * 3 + [f"not asked about: {ended.reason}"] * 7
    assert all(standing.admitted for standing in standings)
