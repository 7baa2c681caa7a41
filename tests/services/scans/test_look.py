"""What can be seen of a scan."""

import contextlib
from uuid import UUID

import pytest

from services.contracts import entities, relations
from services.contracts.entities import name
from services.contracts.plan import Limits
from services.contracts.resources import (
    ItemsQuery,
    NamesQuery,
    NewScan,
    Pause,
    Renew,
    ScanId,
    ScanRef,
    Standing,
    StandingQuery,
)
from services.contracts.scope import Role
from services.kernel.calls import Nothing, operator
from services.kernel.errors import Invalid, NotFound
from services.scans import api
from services.scans.settings import SECOND
from services.scans.usecases import tend
from services.scans.usecases.look import readings
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, Desk, answers, module

NAMES = module("names", "passive", "domain", produces=("domain", "hostname"))
DNS = module("dns", "dns", "domain", "hostname", produces=("domain", "hostname"))
TLS = module("tls", "active", "exposes")
STRANGER = operator(UUID(int=9))
WWW, IP = name("www.example.org"), entities.ip_address("192.0.2.1")


def world(asked: str, item: object) -> list[object]:
    if asked == "names":
        return [
            WWW,
            name("secret.example.org"),
            relations.resolves_to(WWW, IP, record="A"),
            relations.exposes(WWW, entities.service("192.0.2.1", "tcp", "443")),
            relations.links_to(entities.url("https://far.example.net/"), entities.url("https://further.example.com/")),
        ]
    return []


async def looked_at(open_desk: OpenDesk) -> tuple[Desk, UUID]:
    desk = await open_desk(NAMES, DNS, TLS)
    scan = await desk.create("example.org", exclude_scope=("secret.example.org",))
    await desk.run(world)
    return desk, scan


async def test_a_scan_is_found_by_its_id_a_beginning_of_it_and_as_the_last(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    first = await desk.create("example.org")
    last = await desk.create("example.net")

    async def found(text: str) -> UUID:
        return (await api.get_scan(desk.ports, CALLER, ScanRef(text))).id

    assert await found("last") == last
    for scan in (first, last):
        assert await found(str(scan)) == await found(scan.hex) == await found(scan.hex[:12].upper()) == scan
    for text in ("", "xyz", "f" * 33, "../etc"):
        with pytest.raises(Invalid):
            await found(text)
    with pytest.raises(NotFound):
        await found("f" * 32)
    while first.hex[0] != last.hex[0]:
        last = await desk.create("example.net")
    with pytest.raises(Invalid, match="more than one scan begins with"):
        await found(first.hex[0])


async def test_nothing_is_seen_from_another_workspace(open_desk: OpenDesk) -> None:
    desk, scan = await looked_at(open_desk)
    digest = NamesQuery(scan, "00")
    questions = [
        (api.pause_scan, ScanId(scan)),
        (api.resume_scan, ScanId(scan)),
        (api.stop_scan, ScanId(scan)),
        (api.retry_scan, ScanId(scan)),
        (api.delete_scan, ScanId(scan)),
        (api.get_plan, ScanId(scan)),
        (api.get_scan, ScanRef(scan.hex)),
        (api.get_scan, ScanRef("last")),
        (api.list_items, ItemsQuery(scan=scan)),
        (api.get_standing, StandingQuery(scan, "example.org")),
        (api.get_names, digest),
    ]
    for door, question in questions:
        with pytest.raises(NotFound):
            await door(desk.ports, STRANGER, question)
    assert await api.list_scans(desk.ports, STRANGER, Nothing()) == ()
    assert (await desk.scan(scan)).state == "finished"


async def test_a_list_says_what_every_scan_came_to(open_desk: OpenDesk) -> None:
    desk, scan = await looked_at(open_desk)
    other = await desk.create("example.net")
    listed = await api.list_scans(desk.ports, CALLER, Nothing())
    assert [(each.id, each.state, each.targets, each.open, each.done) for each in listed] == [
        (other, "running", ("example.net",), 2, 0),
        (scan, "finished", ("example.org",), 0, 4),
    ]


async def test_items_can_be_listed_by_subject_module_and_outcome(open_desk: OpenDesk) -> None:
    desk, scan = await looked_at(open_desk)

    async def listed(**query: object) -> list[tuple[str, str, str | None]]:
        found = await api.list_items(desk.ports, CALLER, ItemsQuery(scan=scan, **query))
        return [(each.module, getattr(each.subject, "value", each.subject.type), each.outcome) for each in found]

    everything = await listed()
    assert sorted(everything) == [
        ("dns", "example.org", "empty"),
        ("dns", "www.example.org", "empty"),
        ("names", "example.org", "found"),
        ("tls", "exposes", "empty"),
    ]
    assert sorted(await listed(subject="WWW.example.org.")) == [
        ("dns", "www.example.org", "empty"),
        ("tls", "exposes", "empty"),
    ]
    assert await listed(module="names") == [("names", "example.org", "found")]
    assert await listed(outcome="found") == [("names", "example.org", "found")]
    assert await listed(subject="example.org", module="dns") == [("dns", "example.org", "empty")]
    assert await listed(subject="nothing.example.org") == []
    of_one, after = [], ""
    while some := await api.list_items(
        desk.ports, CALLER, ItemsQuery(scan=scan, subject=WWW.value, after=after, limit=1)
    ):
        (item,) = some
        of_one.append(item.module)
        after = item.id.hex
    assert sorted(of_one) == ["dns", "tls"]
    paged, after = [], ""
    for _ in range(4):
        (item,) = await api.list_items(desk.ports, CALLER, ItemsQuery(scan=scan, after=after, limit=1))
        paged.append((item.module, getattr(item.subject, "value", item.subject.type), item.outcome))
        after = item.id.hex
    assert paged == everything
    with pytest.raises(Invalid):
        await listed(after="nonsense")


async def test_a_standing_says_why_an_entity_is_not_in(open_desk: OpenDesk) -> None:
    desk, scan = await looked_at(open_desk)

    async def of(value: str) -> Standing:
        return await api.get_standing(desk.ports, CALLER, StandingQuery(scan, value))

    def short(standing: Standing) -> tuple[bool, Role | None, int | None, str]:
        return standing.admitted, standing.role, standing.distance, standing.reason

    assert short(await of("example.org")) == (True, "target", 0, "")
    assert short(await of("www.example.org")) == (True, "in_scope", 0, "")
    assert short(await of("192.0.2.1")) == (True, "affiliate", 1, "")
    assert short(await of("192.0.2.1:443/tcp")) == (True, "affiliate", 1, "")
    assert short(await of("secret.example.org")) == (False, None, None, "it was ruled out of the scope")
    assert short(await of("x.secret.example.org")) == (False, None, None, "it was ruled out of the scope")
    assert short(await of("nobody.example.org")) == (
        False,
        None,
        None,
        "it is in scope and was never seen: no source named it",
    )
    assert short(await of("nobody.example.net")) == (
        *(False, None, None),
        "it is out of scope, and nothing that was found led to it",
    )
    far = "it is out of scope, and further than 2 steps from what is in it"
    assert short(await of("https://further.example.com/")) == (False, None, None, far)


async def reason_for(desk: Desk, scan: UUID, value: str = "nobody.example.org") -> str:
    standing = await api.get_standing(desk.ports, CALLER, StandingQuery(scan, value))
    assert not standing.admitted
    return standing.reason


NEVER = "it is in scope and was never seen: "


@pytest.mark.parametrize(
    ("names", "dns", "reason"),
    [
        ("empty", "empty", f"{NEVER}no source named it"),
        ("unreachable", "failed", f"{NEVER}no source has answered; no answer: dns (failed), names (unreachable)"),
        ("empty", "blocked", f"{NEVER}no source that answered named it; no answer: dns (blocked)"),
    ],
)
async def test_what_nobody_could_be_asked_about_is_not_called_unknown(
    open_desk: OpenDesk, names: str, dns: str, reason: str
) -> None:
    desk = await open_desk(NAMES, DNS)
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: {"names": names, "dns": dns}[asked])
    assert (await desk.scan(scan)).state == "finished"
    assert await reason_for(desk, scan) == reason


async def test_what_was_not_asked_for_want_of_a_key_is_said_so(open_desk: OpenDesk) -> None:
    paid = module("paid", "passive", "domain", produces=("hostname",), key="paid", key_required=True, has_key=False)
    desk = await open_desk(NAMES, paid)
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: [])
    assert await reason_for(desk, scan) == f"{NEVER}no source that answered named it; not asked: no key for paid"


async def test_only_sources_that_name_such_things_count(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, module("geo", "passive", "domain", produces=("location",)))
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: "empty" if asked == "names" else "blocked")
    assert await reason_for(desk, scan) == f"{NEVER}no source named it"


async def test_what_no_source_was_asked_about_because_the_scan_did_not_come_to_it_is_not_asked(
    open_desk: OpenDesk, clock: Clock
) -> None:
    """A scan that runs, is paused, is stopped, or came to its time limit has sources that it did not ask."""
    desk = await open_desk(NAMES, DNS, module("later", "passive", "ip_address", produces=("hostname",)))
    scan = await desk.create("example.org", limits=Limits(timeout=100.0))
    commands = {command.module: command for command in await desk.commands()}
    await desk.take(*answers(commands["names"], lambda asked, item: []))
    left = "which left out dns, later; no source that answered named it"
    assert await reason_for(desk, scan) == f"it is in scope: not asked: the scan is still running, {left}"
    for change, said in ((api.pause_scan, "the scan is paused"), (api.stop_scan, "the scan was stopped")):
        await change(desk.ports, CALLER, ScanId(scan))
        assert await reason_for(desk, scan) == f"it is in scope: not asked: {said}, {left}"
    await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    clock.forward(101)
    await tend.tend(desk.ports)
    limit = "the time limit of 100 s was reached"
    assert await reason_for(desk, scan) == f"it is in scope: not asked: {limit}, {left}"


async def test_what_the_limit_of_work_items_left_out_is_not_asked(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS)
    scan = await desk.create("example.org", limits=Limits(max_items=1))
    await desk.run(lambda asked, item: [WWW])
    limit = "the limit of 1 work items was reached"
    left = "which left out names; no source that answered named it"
    assert await reason_for(desk, scan) == f"it is in scope: not asked: {limit}, {left}"
    standing = await api.get_standing(desk.ports, CALLER, StandingQuery(scan, WWW.value))
    assert (standing.admitted, standing.reason) == (True, f"not asked about: {limit}")


def test_the_readable_line_of_an_entity_means_it() -> None:
    samples = [
        entities.service("2001:db8::1", "udp", "53"),
        entities.dns_record("example.org", "TXT", "v=spf1 -all and more"),
        entities.asn("64500"),
        entities.organization("name", "Example", "GB"),
        entities.certificate("ab" * 32),
        entities.technology("nginx", "1.2"),
        entities.account("github", "example"),
        entities.code_repository("github.com", "example/project"),
        entities.fingerprint("jarm", "0" * 62),
    ]
    for sample in samples:
        assert sample in readings(sample.value), sample


async def test_a_running_scan_says_what_it_waits_for(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("slow", "passive", "hostname", rate=0.1), DNS)
    scan = await desk.create("a.example.org", "b.example.org", "c.example.org")
    waits = {(each.module, each.items, each.reason) for each in (await desk.scan(scan)).waiting}
    assert waits == {("slow", 2, "being asked"), ("slow", 1, "in the queue"), ("dns", 3, "being asked")}
    states = {source.module: source.state for source in (await desk.scan(scan)).sources}
    assert states == {"slow": "running", "dns": "running"}


async def test_a_source_says_that_its_items_wait_for_its_rate_and_until_when(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(module("slow", "passive", "hostname", rate=0.1))
    scan = await desk.create("a.example.org", "b.example.org", limits=Limits(timeout=60))
    pause = Pause(scan, "slow", clock.at + 3600 * SECOND)
    await api.renew_leases(desk.ports, CALLER, Renew((), (pause,)))
    (source,) = (await desk.scan(scan)).sources
    assert source.reason == "waits for the source's rate until 2026-09-21 15:13:20 UTC"
    clock.forward(61)
    await tend.tend(desk.ports)
    desk.ports.state.clear()  # as another process would find it
    ended = await desk.scan(scan)
    assert (ended.state, ended.reason) == ("incomplete", "the time limit of 60 s was reached")
    assert [each.reason for each in ended.sources] == [
        "2 not asked: its rate was used up until 2026-09-21 15:13:20 UTC"
    ]


async def test_what_was_not_asked_when_a_run_ended_has_the_reason_of_the_end(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create("a.example.org", limits=Limits(timeout=60))
    clock.forward(61)
    await tend.tend(desk.ports)
    (source,) = (await desk.scan(scan)).sources
    assert (source.state, source.reason) == ("waiting", "1 not asked: the time limit of 60 s was reached")


async def test_a_module_that_has_nothing_to_ask_is_idle(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS, module("asns", "passive", "asn"))
    scan = await desk.create("example.org")
    await desk.run(world)
    states = {source.module: source.state for source in (await desk.scan(scan)).sources}
    assert states == {"dns": "answered", "asns": "idle"}


@pytest.mark.parametrize("text", ["", "\x00", "🦑" * 5000, "'; DROP TABLE scan; --", "a" * 100_000, "\ud800", "%00"])
async def test_a_hostile_question_is_answered_or_refused(open_desk: OpenDesk, text: str) -> None:
    desk, scan = await looked_at(open_desk)
    for door, question in (
        (api.get_scan, ScanRef(text)),
        (api.get_standing, StandingQuery(scan, text)),
        (api.get_names, NamesQuery(scan, text)),
        (api.list_items, ItemsQuery(scan=scan, subject=text, module=text, outcome=text)),
        (api.create_scan, NewScan(targets=(text,))),
    ):
        with contextlib.suppress(Invalid, NotFound):
            await door(desk.ports, CALLER, question)
    assert (await desk.scan(scan)).state == "finished"
