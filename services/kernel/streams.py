"""The streams and consumers on the bus that the declarations of services ask for."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from services.kernel.bus import Consumer, Stream
from services.kernel.inbox import consumer_of
from services.kernel.messages import message_type
from services.kernel.service import Handles, Service

#: Seconds for which progress is kept.
PROGRESS_KEPT: Final = 600


def streams_of(services: Sequence[Service]) -> list[Stream]:
    """The streams that the declarations ask for: commands and facts per owner, and one for live progress."""
    commands: set[str] = set()
    facts: set[str] = set()
    for service in services:
        for message in (*service.publishes, *service.consumes):
            _, kind, owner, *_ = message_type(message).split(".")
            if kind == "cmd":
                commands.add(owner)
            elif kind == "evt":
                facts.add(owner)
    return [
        *(Stream(f"CMD_{owner.upper()}", (f"mirage.cmd.{owner}.>",), "work") for owner in sorted(commands)),
        *(Stream(f"EVT_{owner.upper()}", (f"mirage.evt.{owner}.>",), "facts") for owner in sorted(facts)),
        Stream("PROGRESS", ("mirage.progress.>",), "progress", keep_seconds=PROGRESS_KEPT),
    ]


def consumers_of(handled: dict[str, tuple[Handles, ...]]) -> list[Consumer]:
    """The consumers of all services, each in the stream that its message type belongs to."""
    return [
        consumer_of(name, handles, stream_of(handles.takes))
        for name, all_of_it in handled.items()
        for handles in all_of_it
    ]


def stream_of(message: type[Struct]) -> str:
    """The stream that keeps messages of this type."""
    _, kind, owner, *_ = message_type(message).split(".")
    return "PROGRESS" if kind == "progress" else f"{kind.upper()}_{owner.upper()}"
