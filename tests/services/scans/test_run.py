"""A scan from its first item to its end."""

from uuid import UUID

import msgspec
import pytest

from services.contracts.commands import Collect
from services.contracts.entities import ip_address, name
from services.contracts.evidence import merkle_root
from services.contracts.facts import Admitted, Finished, Started
from services.contracts.plan import Limits
from services.contracts.relations import alias_of, resolves_to
from services.kernel.messages import Because, message_type
from services.kernel.service import Received
from services.scans.usecases.intake import take_results
from tests.services.scans.conftest import OpenDesk
from tests.services.scans.desk import WORKSPACE, answer, module, record_of


async def test_a_scan_ends_when_nothing_is_outstanding(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("names", "passive", "domain"), module("dns", "dns", "domain", "hostname"))
    scan = await desk.create("example.org")
    host, address = name("www.example.org"), ip_address("192.0.2.1")

    def world(asked: str, item: object) -> list[object]:
        if asked == "names":
            return [host]
        return [resolves_to(host, address, record="A")] if item.subject == host else []

    await desk.run(world)
    seen = await desk.scan(scan)
    assert seen.state == "finished"
    assert seen.items == {"waiting": 0, "leased": 0, "done": 3}
    assert seen.entities == {"domain": 1, "hostname": 1, "ip_address": 1}
    (finished,) = await desk.all_said(Finished)
    assert (finished.state, finished.results, finished.outcomes) == ("finished", 3, {"found": 2, "empty": 1})
    said = {source.module: source.outcomes for source in finished.sources}
    assert said == {"names": {"found": 1}, "dns": {"found": 1, "empty": 1}}
    assert len(await desk.all_said(Started)) == 1
    admitted = await desk.all_said(Admitted)
    assert [each.ordinal for each in admitted] == list(range(1, finished.admissions + 1))
    places = {(a.entity.value, a.role, a.distance) for each in admitted for a in each.admissions}
    assert places == {
        ("example.org", "target", 0),
        ("www.example.org", "in_scope", 0),
        ("192.0.2.1", "affiliate", 1),
    }
    items = [item for command in await desk.all_said(Collect) for item in command.items]
    records = []
    for command in await desk.all_said(Collect):
        records += [record_of(f"{command.module} {item.id} 0").id for item in command.items]
    assert len(items) == 3
    assert finished.evidence_root == merkle_root(sorted(records))
    assert seen.evidence_root == finished.evidence_root.hex()


@pytest.mark.parametrize(("depth", "reached"), [(0, 0), (1, 1), (2, 2)])
async def test_a_scan_goes_as_many_steps_outside_its_scope_as_it_may(
    open_desk: OpenDesk, depth: int, reached: int
) -> None:
    desk = await open_desk(module("dns", "dns", "domain", "hostname"))
    scan = await desk.create("example.org", limits=Limits(max_depth=depth))
    chain = [name("example.org"), *(name(f"edge{step}.example.net") for step in range(1, 5))]
    await desk.run(lambda asked, item: [alias_of(chain[at], chain[at + 1]) for at in range(4)])
    places = {(a.role, a.distance) for each in await desk.all_said(Admitted) for a in each.admissions}
    assert places == {("target", 0), *(("affiliate", step) for step in range(1, reached + 1))}
    asked = {item.subject for command in await desk.all_said(Collect) for item in command.items}
    assert asked == set(chain[: reached + 1])
    assert (await desk.scan(scan)).entities == {"domain": 1, **({"hostname": reached} if reached else {})}


async def test_nobody_is_asked_about_a_relation_to_what_was_ruled_out(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("names", "passive", "domain"), module("takeover", "dns", "alias_of"))
    await desk.create("example.org", exclude_scope=("secret.example.org",))
    www, secret, other = name("www.example.org"), name("secret.example.org"), name("a.example.net")
    aliases = [alias_of(www, secret), alias_of(secret, www), alias_of(www, other)]
    await desk.run(lambda asked, _: aliases if asked == "names" else [])
    commands = [command for command in await desk.all_said(Collect) if command.module == "takeover"]
    assert [item.subject for command in commands for item in command.items] == [aliases[2]]


async def test_the_root_is_over_the_records_of_accepted_results_and_no_others(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("names", "passive", "domain"), module("more", "passive", "domain"))
    await desk.create("example.org")
    accepted, parts, stray = (record_of(text) for text in ("accepted", "in parts", "stray"))
    one, two = [(command, item) for command in await desk.commands() for item in command.items]

    await desk.take(answer(*one, [], turn=1, records=(stray,)))  # a turn that nobody asked for
    await desk.take(answer(one[0], msgspec.structs.replace(one[1], id=UUID(int=1)), [], records=(stray,)))
    await desk.take(answer(*one, [], records=(accepted,)))
    await desk.take(answer(*one, [], records=(stray,)))  # it is done
    await desk.take(answer(*two, [], records=(accepted,), part=0, parts=0, outcome=None))
    await desk.take(answer(*two, [], records=(stray,), part=0, parts=0, outcome=None))  # the same part once more
    await desk.take(answer(*two, [], records=(parts,), part=1, parts=2))

    (finished,) = await desk.all_said(Finished)
    assert finished.results == 2
    assert finished.evidence_root == merkle_root(sorted([accepted.id, parts.id]))


async def test_commands_and_admissions_name_the_result_that_led_to_them(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("names", "passive", "domain"), module("dns", "dns", "hostname"))
    await desk.create("example.org")
    (command,) = await desk.commands()
    result = answer(command, command.items[0], [name("www.example.org")])
    why = Because(UUID(int=7), "trace")
    async with desk.unit() as unit:
        await take_results(desk.ports, unit, [Received(result, WORKSPACE, 0, why)])
    async with desk.real.read() as view:
        rows = await view.fetch("SELECT type, cause, traceparent FROM outbox ORDER BY position")
    said = {kind: (cause and UUID(bytes=bytes(cause)), trace) for kind, cause, trace in rows}
    assert said[message_type(Started)] == (None, "")
    assert said[message_type(Admitted)] == said[message_type(Collect)] == (why.cause, why.traceparent)
