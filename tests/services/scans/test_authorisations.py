"""Active work is done as it was authorised: which, on what, and when; who looks at the scan sees what was signed."""

import random
from uuid import UUID

import pytest

from services.contracts.authorisations import (
    AUTHORISATION_TYPE,
    LONGEST_WINDOW,
    USUAL_WINDOW,
    digest_of_scope,
    read_statement,
)
from services.contracts.commands import Collect
from services.contracts.permissions import permissions_of
from services.contracts.resources import NewScan, ScanId, SourceState
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, NotFound
from services.kernel.signatures import verify
from services.scans import api
from services.scans.usecases import enforce, tend
from tests.examples import seeds
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, KEY, KID, WORKSPACE, Desk, answers, module
from tests.services.scans.test_interleaving import Collectors, check_books
from tests.services.scans.worlds import MODULES, SCOPE, World

ACTIVE = (module("web", "active", "hostname"), module("ports", "active", "hostname"))
DNS = module("dns", "dns", "hostname")
HOSTS = tuple(f"h{number}.example.org" for number in range(5))
PUBLISHED = [{**KEY.as_dict(private=False), "kid": KID}]
HOUR = 3600


async def source(desk: Desk, scan: UUID, name: str = "web") -> SourceState:
    return next(each for each in (await desk.scan(scan)).sources if each.module == name)


async def test_what_is_shown_of_an_authorisation_is_what_was_signed(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(*ACTIVE, DNS)
    account = UUID(int=9)
    jo = Caller(WORKSPACE, "Jo Doe", "person", permissions_of("admin"), account)
    asked = NewScan(
        targets=("h.example.org",), profile="deep", authorised="the owner said so, ticket 7", techniques=("web",),
        exclude_scope=("secret.h.example.org",), authorised_from=clock.at + 5, authorised_until=clock.at + 50,
    )  # fmt: skip
    scan = (await api.create_scan(desk.ports, jo, asked)).id
    found = await api.DOORS[api.e.GET_AUTHORISATION](desk.ports, CALLER, ScanId(scan))
    said = read_statement(verify(found.signed, AUTHORISATION_TYPE, PUBLISHED))
    assert said == found.statement == (await desk.scan(scan)).authorisation
    assert (said.by.name, said.by.kind, said.by.account) == ("Jo Doe", "person", account)
    assert (said.workspace, said.scan, said.why) == (WORKSPACE, scan, "the owner said so, ticket 7")
    assert (said.techniques, said.targets, said.excludes) == (("web",), ("h.example.org",), ("secret.h.example.org",))
    assert (said.at, said.begins, said.until) == (clock.at, clock.at + 5, clock.at + 50)
    plan = await api.get_plan(desk.ports, CALLER, ScanId(scan))
    assert said.scope_digest == digest_of_scope(plan.scope)
    assert plan.authorisation is not None
    assert plan.authorisation.id == said.id


async def test_it_is_for_all_active_modules_that_were_chosen_and_for_thirty_days_unless_said(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(*ACTIVE, DNS)
    said = (await desk.scan(await desk.create(*HOSTS, exclude=("ports",)))).authorisation
    assert said is not None
    assert said.techniques == ("web",)
    assert (said.begins, said.until) == (clock.at, clock.at + USUAL_WINDOW)


async def test_a_scan_that_touches_nothing_has_none_and_nothing_is_signed(open_desk: OpenDesk) -> None:
    desk = await open_desk(*ACTIVE, DNS)
    scan = await desk.create(*HOSTS, authorised=None)
    assert (await desk.scan(scan)).authorisation is None
    with pytest.raises(NotFound, match="nobody authorised"):
        await api.DOORS[api.e.GET_AUTHORISATION](desk.ports, CALLER, ScanId(scan))
    elsewhere = Caller(UUID(int=1), "jo")
    with pytest.raises(NotFound, match="no scan"):
        await api.DOORS[api.e.GET_AUTHORISATION](desk.ports, elsewhere, ScanId(await desk.create(*HOSTS)))


async def test_a_technique_that_was_not_authorised_is_not_planned_and_it_is_said_why(open_desk: OpenDesk) -> None:
    desk = await open_desk(*ACTIVE, DNS)
    asked = NewScan(targets=HOSTS, profile="deep", authorised="x", techniques=("web",))
    preview = await api.preview_scan(desk.ports, CALLER, asked)
    assert {each.id for each in preview.modules} == {"web", "dns"}
    assert preview.left_out == {"ports": "it is active, and not among the techniques that were authorised"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"techniques": ("dns",)}, "'dns' is no active module; there are ports, web"),
        ({"techniques": ("nothing",)}, "is no active module"),
        ({"authorised": None, "techniques": ("web",)}, "say who allows them"),
        ({"authorised": None, "authorised_until": 1}, "say who allows them"),
        ({"authorised": " "}, "who allowed active work, and why"),
        ({"authorised_until": 1}, "ends after it begins and after now"),
        ({"authorised_from": 2**60, "authorised_until": 2**60}, "ends after it begins"),
        ({"authorised_from": 2**52, "authorised_until": 2**52 + LONGEST_WINDOW + 1}, "within a year"),
    ],
)
async def test_an_authorisation_that_makes_no_sense_is_refused(
    open_desk: OpenDesk, fields: dict[str, object], reason: str
) -> None:
    desk = await open_desk(*ACTIVE, DNS)
    with pytest.raises(Invalid, match=reason):
        await desk.create(*HOSTS, **fields)


async def test_active_work_waits_for_its_window_and_the_rest_does_not(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(ACTIVE[0], DNS)
    begins = clock.at + HOUR * 1_000_000
    scan = await desk.create(*HOSTS, authorised_from=begins)
    (command,) = await desk.commands()
    assert command.module == "dns"
    await desk.take(*answers(command, lambda *_: []))
    assert (await source(desk, scan)).reason.startswith("active work is authorised from 20")
    (waiting,) = (await desk.scan(scan)).waiting
    assert (waiting.module, waiting.items, waiting.until) == ("web", 5, begins)
    clock.forward(HOUR - 1)
    await tend.tend(desk.ports)
    assert await desk.commands() == []
    clock.forward(1)
    await tend.tend(desk.ports)
    (command,) = await desk.commands()
    assert (command.module, len(command.items)) == ("web", 5)
    await desk.take(*answers(command, lambda *_: []))
    assert (await desk.scan(scan)).state == "finished"


async def test_active_work_whose_window_is_over_is_skipped_and_the_scan_comes_to_its_end(
    open_desk: OpenDesk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enforce, "CLOSED_AT_A_TIME", 2)
    desk = await open_desk(ACTIVE[0], DNS)
    scan = await desk.create(*HOSTS, authorised_until=clock.at + 10_000_000)
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    await desk.commands()
    clock.forward(10)
    await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    (command,) = await desk.commands()
    assert command.module == "dns"
    await desk.take(*answers(command, lambda *_: []))
    for _ in range(3):
        await check_books(desk)
        await tend.tend(desk.ports)
    assert (await desk.scan(scan)).state == "finished"
    assert await desk.commands() == []
    seen = await source(desk, scan)
    assert (seen.outcomes, seen.reason[:22]) == ({"skipped": 5}, "it was authorised unti")
    await api.retry_scan(desk.ports, CALLER, ScanId(scan))
    for _ in range(3):
        await tend.tend(desk.ports)
    assert await desk.commands() == [], "what was authorised once is not so for ever"


async def test_a_plan_that_lost_its_authorisation_hands_out_nothing_active(open_desk: OpenDesk) -> None:
    """Whatever else is wrong, no row of a plan is enough to touch a target."""
    desk = await open_desk(ACTIVE[0], DNS)
    scan = await desk.create(*HOSTS)
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    await desk.commands()
    async with desk.sql.begin() as tx:
        (row,) = await tx.fetch("SELECT plan FROM scan")
        plan = row[0].replace('"techniques":["web"]', '"techniques":["ports"]')
        await tx.execute("UPDATE scan SET plan = :plan, plan_version = 2", plan=plan)
    await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    assert [each.module for each in await desk.commands()] == ["dns"]
    assert (await source(desk, scan)).reason == "nobody authorised it"


@pytest.mark.parametrize("seed", seeds(8))
async def test_whatever_happens_active_work_is_handed_out_within_its_window_alone(
    open_desk: OpenDesk, clock: Clock, seed: int
) -> None:
    rng = random.Random(seed)
    desk = await open_desk(*MODULES)
    active = {each.declared.id for each in MODULES if each.declared.activity == "active"}
    begins = clock.at + rng.randrange(0, 40) * 1_000_000
    until = begins + rng.randrange(1, 60) * 1_000_000
    scan = await desk.create("example.org", **{**SCOPE, "authorised_from": begins, "authorised_until": until})
    collectors = Collectors(World(seed), rng)
    for _ in range(3000):
        commands: list[Collect] = await desk.commands()
        for command in commands:
            assert command.module not in active or begins <= clock.at < until
            collectors.work(command)
        await check_books(desk)
        if (await desk.scan(scan)).state == "finished":
            break
        if rng.random() < 0.3 or not collectors.results:
            clock.forward(rng.choice([1, 6, 70]))
            await tend.tend(desk.ports)
        else:
            await desk.take(*collectors.some())
    else:
        raise AssertionError("the scan does not come to an end")


async def test_an_authorisation_goes_with_its_scan(open_desk: OpenDesk) -> None:
    desk = await open_desk(*ACTIVE, DNS)
    await api.delete_scan(desk.ports, CALLER, ScanId(await desk.create(*HOSTS)))
    while await tend.sweep(desk.ports):
        pass
    async with desk.sql.read() as view:
        assert await view.fetch("SELECT * FROM authorisation") == []
