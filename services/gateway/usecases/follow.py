"""The one who tells who asks, and keeps up with what is revoked."""

from typing import Final

from services.gateway.usecases.identities import Identities
from services.kernel.http_calls import HttpCalls
from services.kernel.service import Ports


def identities_of(ports: Ports) -> Identities:
    """Who tells who asks in this process."""
    if "identities" not in ports.state:
        # Who logs in asks auth, too, as often as he likes.
        calls = ports.calls.apart() if isinstance(ports.calls, HttpCalls) else ports.calls
        ports.state["identities"] = Identities(calls)
    identities = ports.state["identities"]
    assert isinstance(identities, Identities)
    return identities


async def follow_revocations(ports: Ports) -> None:
    """Know what is revoked, as long as this process runs."""
    await identities_of(ports).follow(ports.bus)


TASKS: Final = (follow_revocations,)
