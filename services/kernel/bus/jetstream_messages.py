"""A message of the bus as NATS carries it: the attributes are headers, the payload is the data.

Headers are named as in CloudEvents' binding to NATS (https://github.com/cloudevents/spec), texts in them
percent-encoded where they have to be; times are UTC microseconds, as everywhere on the wire. `Nats-Msg-Id` is how a
stream knows what it has already.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote
from uuid import UUID

from msgspec import Struct
from nats.aio.msg import Msg

from services.kernel.messages import EVERYWHERE, NAMESPACE, Envelope, derive

#: A message that is delivered once more to one consumer alone goes to ``again.<stream>.<consumer>``.
AGAIN: Final = "mirage.again"
#: How often it was delivered before.
TRIES: Final = "Mirage-Tries"
MESSAGE_ID: Final = "Nats-Msg-Id"

_PLAIN: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "").replace('"', "")


class Place(Struct, frozen=True):
    """What the subject of an acknowledgement says of a delivery (https://docs.nats.io, "JetStream wire API")."""

    stream: str
    tries: int
    sequence: int
    consumer_sequence: int
    at: int
    left: int


def to_headers(envelope: Envelope) -> dict[str, str]:
    identity = str(envelope.id)
    headers = {
        MESSAGE_ID: identity,
        "ce-specversion": "1.0",
        "ce-id": identity,
        "ce-type": envelope.type,
        "ce-source": to_text(envelope.source),
        "ce-time": str(envelope.time),
        "ce-workspace": _hex(envelope.workspace),
    }
    if envelope.filter:
        headers["ce-filter"] = envelope.filter
    if envelope.cause is not None:
        headers["ce-cause"] = str(envelope.cause)
    if envelope.traceparent:
        headers["traceparent"] = to_text(envelope.traceparent)
    return headers


def to_text(text: str) -> str:
    return quote(text, safe=_PLAIN, errors="surrogatepass")


def from_text(text: str) -> str:
    return unquote(text, errors="surrogatepass") if "%" in text else text


def to_envelope(message: Msg, place: Place) -> Envelope:
    """Read a message; one that is none of ours carries its bytes, so that it is buried as any that cannot be read."""
    try:
        envelope = read_envelope(message.headers or {}, message.data)
    except (KeyError, ValueError):
        return _damaged(message, place)
    # The subject is what a sender's rights are about, so what it says of itself has to agree.
    agrees = message.subject == envelope.subject or message.subject.startswith(f"{AGAIN}.")
    return envelope if agrees else _damaged(message, place)


def _damaged(message: Msg, place: Place) -> Envelope:
    return Envelope(
        id=derive(NAMESPACE, f"damaged|{place.stream}|{place.sequence}"),
        type=message.subject.rpartition(".")[0] or message.subject,
        source="",
        workspace=EVERYWHERE,
        time=place.at,
        data=message.data,
    )


def read_envelope(headers: Mapping[str, str], data: bytes) -> Envelope:
    """Raise `KeyError` or `ValueError` where an attribute is missing or makes no sense."""
    cause = headers.get("ce-cause")
    return Envelope(
        id=UUID(headers["ce-id"]),
        type=headers["ce-type"],
        source=from_text(headers["ce-source"]),
        workspace=_workspace(headers["ce-workspace"]),
        time=int(headers["ce-time"]),
        data=data,
        filter=headers.get("ce-filter", ""),
        cause=None if cause is None else UUID(cause),
        traceparent=from_text(headers.get("traceparent", "")),
    )


def tries_before(message: Msg) -> int:
    text = (message.headers or {}).get(TRIES, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def to_place(reply: str) -> Place:
    """Read ``$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<tries>.<sequence>.<…>.<nanoseconds>.<left>[.…]``."""
    tokens = reply.split(".")
    first = 2 if len(tokens) == 9 else 4
    stream, _, tries, sequence, consumer_sequence, at, left = tokens[first : first + 7]
    return Place(stream, int(tries), int(sequence), int(consumer_sequence), int(at) // 1000, int(left))


@lru_cache(maxsize=1024)
def _workspace(text: str) -> UUID:
    return UUID(text)


@lru_cache(maxsize=1024)
def _hex(workspace: UUID) -> str:
    return workspace.hex
