"""What a service's user may do on a fleet's NATS: its own subjects, streams and consumers, and nobody else's answers.

The result is what ``permissions`` of a user is in the server's configuration, which may be written as JSON
(https://docs.nats.io/running-a-nats-service/configuration/securing_nats/authorization).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from services.kernel.bus import Consumer, Stream
from services.kernel.bus.jetstream_connection import inbox_of
from services.kernel.bus.jetstream_streams import DEAD, DEAD_SUBJECT, again_subject


class Rights(Struct, frozen=True, kw_only=True):
    """What a service does on the bus.

    ``publishes``: patterns of subjects. ``streams``: all that it declares, those of others that it reads included.
    ``follows``: names of streams that it reads along, where it may then change any consumer, so let no durable one be
    there. ``letters``: it lists, revives and drops the dead letters of all.
    """

    publishes: Sequence[str] = ()
    streams: Sequence[Stream] = ()
    consumers: Sequence[Consumer] = ()
    follows: Sequence[str] = ()
    letters: bool = False


def permissions(user: str, rights: Rights) -> dict[str, Any]:
    """Render the permissions of a user."""
    inbox = f"{inbox_of(user)}.>"
    return {"publish": {"allow": sorted({inbox, *_published(rights)})}, "subscribe": {"allow": [inbox]}}


def _published(rights: Rights) -> Iterator[str]:
    yield from rights.publishes
    yield from ("$JS.API.INFO", "$JS.API.STREAM.NAMES")
    for stream in (DEAD, *(each.name for each in rights.streams)):
        yield from (f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE", "INFO"))
    for consumer in rights.consumers:
        place = f"{consumer.stream}.{consumer.name}"
        yield from (f"$JS.API.CONSUMER.{verb}.{place}" for verb in ("CREATE", "INFO", "MSG.NEXT"))
        yield from (f"$JS.ACK.{place}.>", f"$JS.ACK.*.*.{place}.>", f"{DEAD_SUBJECT}.{consumer.name}.*")
    for stream in (*rights.follows, *((DEAD,) if rights.letters else ())):
        yield f"$JS.API.STREAM.INFO.{stream}"
        yield from (f"$JS.API.CONSUMER.{verb}.{stream}.*" for verb in ("CREATE", "MSG.NEXT", "DELETE"))
    if rights.letters:
        yield from (f"$JS.API.DIRECT.GET.{DEAD}", f"$JS.API.STREAM.MSG.DELETE.{DEAD}", "$JS.API.CONSUMER.INFO.*.*")
        yield again_subject("*", "*")
