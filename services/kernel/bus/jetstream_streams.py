"""Streams and consumers of the port as JetStream has them: made where they are missing, changed where they differ.

Whoever publishes to a stream and whoever reads it declare it alike, so that it does not matter who is first. What an
operator or a newer version has set beside what is asked for here stays, and what is kept, for how long and how often is
never lowered: the server drops at once what a lower limit leaves out. What the server has in the end is compared with
what was asked, since it ignores what it does not know.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.kernel.bus import Consumer, Stream
from services.kernel.bus.jetstream_link import Link, Refused
from services.kernel.bus.jetstream_messages import AGAIN
from services.kernel.bus.subjects import any_overlap, widest
from services.kernel.errors import Conflict, Incompatible, Invalid, MirageError, Unavailable

#: Facts are kept for a week, whoever has read them.
FACTS_SECONDS: Final = 7 * 86_400
#: Ids are remembered so long, unless the messages themselves are not.
MEMORY_SECONDS: Final = 120
#: The least for which a message of progress is kept, and the most room that all of them take.
PROGRESS_SECONDS: Final = 1
PROGRESS_BYTES: Final = 256 << 20
_SECOND: Final = 1_000_000_000

#: Of nats-server's errors.json.
NO_STREAM: Final = 10059
NO_CONSUMER: Final = 10014
STREAM_DIFFERS: Final = 10058
STREAMS_OVERLAP: Final = 10065
WORK_OVERLAPS: Final = frozenset({10099, 10100})
NO_ROOM: Final = frozenset({10005, 10008, 10023, 10047, 10077, 10122})
NO_REPLICAS: Final = 10074
TOO_LARGE: Final = frozenset({10054, 10097})
LAST_SEQUENCE: Final = frozenset({10071, 10164})
_NOT_ENABLED: Final = frozenset({10039, 10076})

#: Buried messages, one to a subject: ``mirage.dead.<consumer>.<letter>``.
DEAD: Final = "MIRAGE_DEAD"
DEAD_SUBJECT: Final = "mirage.dead"

#: Settings of a stream that are only ever raised; those of the second kind are no limit at all where they are not
#: positive.
AT_LEAST: Final = frozenset({"num_replicas", "duplicate_window"})
LIMITS: Final = frozenset({"max_age", "max_bytes"})

Config = dict[str, Any]


def again_subject(stream: str, consumer: str) -> str:
    """Where a message goes that one consumer alone is to have once more."""
    return f"{AGAIN}.{stream}.{consumer}"


def stream_config(stream: Stream, replicas: int) -> Config:
    age = {
        "work": 0,
        "facts": max(stream.keep_seconds, FACTS_SECONDS),
        "progress": max(stream.keep_seconds, PROGRESS_SECONDS),
    }[stream.kind]
    return {
        "name": stream.name,
        "subjects": sorted({*stream.subjects, again_subject(stream.name, "*")}),
        "retention": "workqueue" if stream.kind == "work" else "limits",
        "discard": "old" if stream.kind == "progress" else "new",
        "storage": "file",
        "num_replicas": replicas,
        "max_age": age * _SECOND,
        "duplicate_window": min(MEMORY_SECONDS, age or MEMORY_SECONDS) * _SECOND,
        **({"max_bytes": PROGRESS_BYTES} if stream.kind == "progress" else {}),
    }


def letters_config(replicas: int) -> Config:
    return {
        "name": DEAD,
        "subjects": [f"{DEAD_SUBJECT}.*.*"],
        "retention": "limits",
        "discard": "new",
        "storage": "file",
        "num_replicas": replicas,
        "max_age": 0,
        "allow_direct": True,
    }


def consumer_config(consumer: Consumer) -> Config:
    return {
        "durable_name": consumer.name,
        "name": consumer.name,
        "filter_subjects": [*widest(consumer.subjects), again_subject(consumer.stream, consumer.name)],
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": round(consumer.ack_wait * _SECOND),
        "max_ack_pending": consumer.max_in_flight,
        "max_deliver": -1,
        "replay_policy": "instant",
    }


def check_names(streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
    """Raise `Invalid` for a name that the server cannot take, or that would be taken for a pattern."""
    for name in (*(each.name for each in streams), *(each.name for each in consumers)):
        if not name or not name.isascii() or not name.replace("_", "").replace("-", "").isalnum():
            raise Invalid(f"{name!r} is no name of a stream or a consumer")
    for stream in streams:
        if any_overlap(stream.subjects, (f"{AGAIN}.>", f"{DEAD_SUBJECT}.>")):
            raise Invalid(f"the subjects of {stream.name} would take what is delivered again, and what is dead")


async def keep_stream(link: Link, config: Config) -> bool:
    """Make a stream, or change it into ``config`` without lowering what it keeps; say whether it was made.

    Raises:
        Conflict: another stream has its subjects, or the server will not change it without losing what it keeps.
        Incompatible: the server ignores a setting.
        Invalid: the server is alone and is asked for replicas.
        Unavailable: there is no room for it, or there are too few servers.
    """
    name = config["name"]
    try:
        has = await _create_stream(link, config)
        made = bool(has.get("did_create"))
        config = raised(config, has["config"])
        if differences(config, has):
            has = await link.call(f"STREAM.UPDATE.{name}", {**has["config"], **config})
    except Refused as refused:
        raise _refusal(refused, f"the stream {name}") from refused
    check_taken(config, has["config"], f"the stream {name}")
    return made


async def _create_stream(link: Link, config: Config) -> Config:
    try:
        return await link.call(f"STREAM.CREATE.{config['name']}", config)
    except Refused as refused:
        if refused.number != STREAM_DIFFERS:
            raise
    return await link.call(f"STREAM.INFO.{config['name']}")


def raised(asked: Config, has: Config) -> Config:
    """What to ask for, so that nothing is lowered that the server has."""
    return {name: _higher(name, value, has.get(name) or 0) for name, value in asked.items()}


def _higher(name: str, asked: Any, has: Any) -> Any:
    if name in AT_LEAST:
        return max(asked, has)
    if name in LIMITS:
        return max(asked, has) if asked > 0 and has > 0 else min(asked, has)
    return asked


async def keep_consumer(link: Link, stream: str, config: Config) -> bool:
    """Make a durable consumer, or change it into ``config``; say whether it was made.

    Raises:
        Conflict: another consumer of work has its subjects, or the server will not change it.
        Invalid: there is no such stream.
        Incompatible: the server ignores a setting.
    """
    name = config["name"]
    try:
        has = await _find_consumer(link, stream, name)
        made = not has
        if differences(config, has):
            body = {"stream_name": stream, "config": {**has, **config}}
            has = (await link.call(f"CONSUMER.CREATE.{stream}.{name}", body))["config"]
    except Refused as refused:
        if refused.number == NO_STREAM:
            raise Invalid(f"{name} reads {stream}, which nobody declared") from refused
        raise _refusal(refused, f"the consumer {name}") from refused
    check_taken(config, has, f"the consumer {name}")
    return made


async def _find_consumer(link: Link, stream: str, name: str) -> Config:
    """The settings of a consumer; none where there is none."""
    try:
        has: Config = (await link.call(f"CONSUMER.INFO.{stream}.{name}"))["config"]
    except Refused as refused:
        if refused.number != NO_CONSUMER:
            raise
        return {}
    has.pop("filter_subject", None)  # the server takes this or `filter_subjects`
    return has


def differences(asked: Mapping[str, Any], has: Mapping[str, Any]) -> list[str]:
    """The settings of ``asked`` that the answer of the server does not have; what is empty it leaves out."""
    config = has.get("config", has)
    return [name for name, value in asked.items() if _plain(config.get(name)) != _plain(value)]


def check_taken(asked: Config, has: Config, what: str) -> None:
    if ignored := differences(asked, has):
        raise Incompatible(f"the server takes {what} but leaves its {', '.join(ignored)} as it likes")


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value or None


def _refusal(refused: Refused, what: str) -> MirageError:
    if refused.number == STREAMS_OVERLAP:
        return Conflict(f"{what} would take subjects that another one takes: {refused}")
    if refused.number in WORK_OVERLAPS:
        return Conflict(
            f"{what} would take work that another one takes ({refused}); one that no running version declares"
            " is removed with `nats consumer rm`"
        )
    if refused.number == NO_REPLICAS:
        return Invalid(f"{what} is asked to be on several servers, and there is one: {refused}")
    if refused.number in NO_ROOM or refused.number in _NOT_ENABLED:
        return Unavailable(f"there is no room for {what}: {refused}")
    return Conflict(f"{what} cannot be made what is asked without losing what it keeps: {refused}")


def refusal(refused: Refused, what: str) -> MirageError:
    """What it means that a message was not kept."""
    if refused.number in TOO_LARGE:
        return Invalid(f"{what} is larger than a message may be: {refused}")
    return Unavailable(f"{what} is not kept: {refused}")
