"""What names a thing of one workspace in the name of another reaches no handler, and does not come again."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.kernel import metrics
from services.kernel.inbox import durable
from services.kernel.messages import EVERYWHERE
from services.kernel.service import Handles, Hold, Ports, Received, Unit
from services.kernel.sql import Reader
from tests.kernel.once.bench import SPACE, Bench, Counted, bundled, dead, envelope, equals, eventually, idle, record

OTHER = UUID(int=8)


async def owners(view: Reader, batch: Sequence[Received[Counted]]) -> list[UUID | None]:
    """Even numbers are of `SPACE`, odd ones are not known yet."""
    return [None if each.message.number % 2 else SPACE for each in batch]


async def work(ports: Ports, received: Received[Counted], hold: Hold) -> None:
    async with ports.outbox.unit() as unit:
        row = await unit.tx.fetch_one("SELECT 1 FROM effect WHERE number = :number", number=received.message.number)
        if row is None:
            await record(ports, unit, [received])


@pytest.mark.parametrize("does", [{"handle": record}, {"work": work}], ids=["batches", "work"])
async def test_a_message_of_another_workspace_has_no_effect_and_is_counted(
    bench: Bench, does: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_metrics", None)
    metrics.start()
    handles = Handles(name="record", takes=Counted, owners=owners, **does)
    async with bench.running(handles):
        foreign = [replace(envelope(number), workspace=OTHER) for number in (2, 4, 5)]
        await bench.bus.publish([*foreign, envelope(6)])
        await eventually(lambda: equals(bench.effects, [5, 6]))
        await eventually(lambda: idle(bench, "record"))
    assert not await dead(bench, durable("tester", "record"))
    counted = f'mirage_messages_total{{consumer="{durable("tester", "record")}",outcome="foreign"}} '
    (line,) = [line for line in (await metrics.render()).decode().splitlines() if line.startswith(counted)]
    # What is delivered twice is looked at twice where each delivery is work of its own.
    assert float(line.removeprefix(counted)) in {2.0, 4.0}


async def test_of_a_bundle_what_is_its_own_is_taken_also_when_it_is_taken_apart(bench: Bench) -> None:
    async def refuse_seven(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if any(received.message.number == 7 for received in batch):
            raise ValueError("seven")

    closed: list[int] = []

    async def close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        closed.append(received.message.number)

    handles = Handles(name="record", takes=Counted, handle=refuse_seven, buried=close, owners=owners)
    async with bench.running(handles):
        await bench.bus.publish([replace(bundled(1, 2, 3, 4, 7), workspace=OTHER)])
        await eventually(lambda: equals(bench.effects, [1, 3]))
        await eventually(lambda: dead(bench, durable("tester", "record")))
    # What of a bundle had no effect is buried with what failed, and closed by nobody: it is not ours to close.
    assert set(closed) == {7}


@pytest.mark.parametrize(("everywhere", "heard"), [("never", [2]), ("also", [1, 2]), ("only", [1])])
async def test_what_is_about_no_workspace_is_heard_by_who_says_so_and_by_nobody_else(
    bench: Bench, everywhere: Literal["never", "also", "only"], heard: list[int]
) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record, everywhere=everywhere)):
        await bench.bus.publish([replace(envelope(1), workspace=EVERYWHERE), envelope(2)])
        await eventually(lambda: equals(bench.effects, heard))
        await eventually(lambda: idle(bench, "record"))
    assert await bench.effects() == heard
