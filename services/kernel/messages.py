"""The envelope around every message, and how its id, type and subject come about.

A message type is a frozen Struct whose tag is its type on the wire: ``mirage.evt.<owner>.<fact>.v<major>`` for facts,
``mirage.cmd.<owner>.<verb>.v<major>`` for commands, ``mirage.progress.<owner>.<what>.v<major>`` for what only live
pages read. Attribute names follow CloudEvents 1.0 (https://github.com/cloudevents/spec).
"""

import hashlib
import re
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Self, TypeVar

import msgspec
from msgspec import Struct, structs

from services.kernel.errors import Invalid

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:mirage:message")
MAX_BYTES: Final = 1_000_000
#: How much goes into one bundle.
BUNDLE_BYTES: Final = 250_000
BUNDLE_MESSAGES: Final = 64
#: What stands in a bundle where a message was and is no more.
BLANK: Final = b"null"
#: The workspace of what belongs to none: manifests, health.
EVERYWHERE: Final = uuid.UUID(int=0)
_TOKEN: Final = re.compile(r"[a-z0-9_-]+")

M = TypeVar("M", bound=Struct)


class Envelope(Struct, frozen=True, kw_only=True):
    """A message as the bus carries it: ``data`` is the JSON of the message, everything else a header.

    A bundle carries several messages of one type: its ``data`` is the JSON array of them.
    """

    id: uuid.UUID
    type: str
    source: str
    workspace: uuid.UUID
    time: int
    data: bytes
    filter: str = ""
    cause: uuid.UUID | None = None
    traceparent: str = ""

    @property
    def subject(self) -> str:
        """Where it is published: the type, the workspace, and a filter token for commands."""
        return f"{self.type}.{self.filter}.{self.workspace.hex}" if self.filter else f"{self.type}.{self.workspace.hex}"

    @property
    def bundled(self) -> bool:
        """Whether it carries several messages."""
        return self.data.startswith(b"[")


class Because(Struct, frozen=True):
    """Why a message is said: what the envelope of the message says that was being handled, and so of what trace."""

    cause: uuid.UUID | None = None
    traceparent: str = ""

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        return cls(envelope.id, envelope.traceparent)


NO_REASON: Final = Because()
#: Seconds by which the clocks of machines may differ.
SKEW: Final = 5


def now() -> int:
    """The time in UTC microseconds."""
    return time.time_ns() // 1000


def derive(namespace: uuid.UUID, name: str) -> uuid.UUID:
    """The same as `uuid.uuid5`, at a third of its price."""
    digest = hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


def workspace_id(name: str) -> uuid.UUID:
    """The id of a workspace that is known by its name alone, as all are in an embedded Mirage."""
    try:
        return derive(uuid.NAMESPACE_URL, f"urn:mirage:workspace:{name}")
    except UnicodeEncodeError:
        raise Invalid("the name of a workspace is no text") from None


def message_type(message: type[Struct]) -> str:
    """The type on the wire of a message Struct: its tag."""
    tag = message.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{message.__name__} has no tag that names its type")
    return tag


def message_id(kind: str, workspace: uuid.UUID, key: str) -> uuid.UUID:
    """The id of the message of a type that its sender calls ``key``: said again, it is the same message."""
    return derive(NAMESPACE, f"{kind}|{workspace.hex}|{key}")


def envelop(
    message: Struct,
    *,
    source: str,
    workspace: uuid.UUID,
    id: uuid.UUID,
    filter: str = "",
    because: Because = NO_REASON,
    at: int | None = None,
) -> Envelope:
    """Put ``message`` into an envelope; ``id`` is derived by the caller, so that a repetition has the same one.

    Raises:
        Invalid: it is larger than a message may be, or ``filter`` is not one token of a subject.
    """
    if filter and not _TOKEN.fullmatch(filter):
        raise Invalid(f"{filter!r} is no token of a subject")
    return Envelope(
        id=id,
        type=message_type(type(message)),
        source=source,
        workspace=workspace,
        time=now() if at is None else at,
        data=_encode(message),
        filter=filter,
        cause=because.cause,
        traceparent=because.traceparent,
    )


def bundle(
    messages: Mapping[str, Struct], *, source: str, workspace: uuid.UUID, at: int, because: Because = NO_REASON
) -> Iterator[Envelope]:
    """Put messages of one type, by their keys, into as few envelopes as may be.

    Raises:
        Invalid: one is larger than a message may be.
    """
    data: list[bytes] = []
    keys: list[str] = []
    size = 0
    kind = ""

    def sealed() -> Envelope:
        return Envelope(
            id=message_id(kind, workspace, "|".join(keys)),
            type=kind,
            source=source,
            workspace=workspace,
            time=at,
            data=data[0] if len(data) == 1 else b"[" + b",".join(data) + b"]",
            cause=because.cause,
            traceparent=because.traceparent,
        )

    for key, message in messages.items():
        kind = message_type(type(message))
        encoded = _encode(message)
        if data and (size + len(encoded) > BUNDLE_BYTES or len(data) >= BUNDLE_MESSAGES):
            yield sealed()
            data, keys, size = [], [], 0
        data.append(encoded)
        keys.append(key)
        size += len(encoded)
    if data:
        yield sealed()


def places_of(envelope: Envelope) -> list[int]:
    """The places in a bundle that have a message; none where it is no bundle, or cannot be read as one."""
    try:
        pieces = _pieces(envelope) if envelope.bundled else []
    except Invalid:
        return []
    return [place for place, piece in enumerate(pieces) if bytes(piece) != BLANK]


def part_of(bundle: Envelope, places: Collection[int]) -> Envelope:
    """A bundle with the messages at some places alone; the others are blank, so that these stay where they were."""
    pieces = (bytes(piece) if place in places else BLANK for place, piece in enumerate(_pieces(bundle)))
    return structs.replace(bundle, data=b"[" + b",".join(pieces) + b"]")


def _pieces(bundle: Envelope) -> list[msgspec.Raw]:
    pieces: list[msgspec.Raw] = _decode(bundle, list[msgspec.Raw])
    return pieces


def _encode(message: Struct) -> bytes:
    data = msgspec.json.encode(message)
    if len(data) > MAX_BYTES:
        raise Invalid(f"a {message_type(type(message))} of {len(data)} bytes is larger than a message may be")
    return data


_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def open_envelope(envelope: Envelope, message: type[M]) -> M:
    """Decode the one message inside; unknown fields are skipped, so that a newer sender does no harm."""
    return _decode(envelope, message)  # type: ignore[no-any-return]


def open_places(envelope: Envelope, message: type[M]) -> list[M | None]:
    """Decode the messages inside, be it one or several; None where a bundle has been left blank."""
    return _decode(envelope, list[message | None]) if envelope.bundled else [_decode(envelope, message)]  # type: ignore[valid-type]


def open_bundle(envelope: Envelope, message: type[M]) -> list[M]:
    """Decode the messages inside, be it one or several."""
    return [each for each in open_places(envelope, message) if each is not None]


def _decode(envelope: Envelope, form: Any) -> Any:
    decoder = _DECODERS.get(form)
    if decoder is None:
        decoder = _DECODERS[form] = msgspec.json.Decoder(form)
    try:
        return decoder.decode(envelope.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"a {envelope.type} that cannot be read: {error}") from error
