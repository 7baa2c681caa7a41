"""What the registry hears."""

from collections.abc import Sequence
from typing import Final

from services.contracts.facts import Announced, Finished
from services.kernel.service import Handles, Ports, Received, Unit
from services.registry import store, usecases
from services.registry.domain import weigh


async def announced(ports: Ports, unit: Unit, batch: Sequence[Received[Announced]]) -> None:
    for each in sorted(batch, key=lambda received: received.at):
        await usecases.keep_announcement(ports, unit.tx, each.message.digest, each.message.modules, each.at)


async def finished(ports: Ports, unit: Unit, batch: Sequence[Received[Finished]]) -> None:
    said = [(source, received.message.at) for received in batch for source in received.message.sources]
    # Module by module, so that two batches take their rows in one order.
    for source, at in sorted(said, key=lambda each: each[0].module):
        answered, failed = weigh(source)
        if answered or failed:
            await store.add_outcomes(
                unit.tx, source.module, answered=answered, failed=failed, at=at, reason=source.reason
            )


CONSUMERS: Final = (
    Handles(name="announced", takes=Announced, handle=announced, batch=20, everywhere="only"),
    Handles(name="finished", takes=Finished, handle=finished, batch=50),
)
