"""A result as messages: cut into parts of bounded size, each with the records that its claims cite."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from services.collector.item.run import Result
from services.contracts.commands import Collect, WorkItem
from services.contracts.facts import Collected, Said

#: How large a part of a result may get; the envelope has room for a little more.
PART_CLAIMS: Final = 500
PART_BYTES: Final = 240_000
#: A claim cites the answer it was read from, and of what else shows it no more than has room beside it in a message.
CITED_PER_CLAIM: Final = 200
#: Bytes of a place in the list of records of a part, and of what is around a claim or a record there.
PLACE_BYTES: Final = 4
FRAME_BYTES: Final = 8

_encode = msgspec.json.Encoder().encode


def parts_of(command: Collect, item: WorkItem, result: Result) -> list[Collected]:
    """Cut a result into messages of bounded size; the last one has the outcome."""
    weights = {identity: FRAME_BYTES + len(_encode(record)) for identity, record in result.records.items()}
    parts: list[tuple[list[Said], dict[bytes, int]]] = [([], {})]
    size = 0
    cited: set[bytes] = set()
    for (claim, ids), length in zip(result.said, result.sizes, strict=True):
        known = _citable(ids, weights, PART_BYTES - FRAME_BYTES - length)
        alone = FRAME_BYTES + length + PLACE_BYTES * len(known)
        said, places = parts[-1]
        fresh = sum(weights[identity] for identity in known if identity not in places)
        if said and (size + alone + fresh > PART_BYTES or len(said) >= PART_CLAIMS):
            said, places = [], {}
            parts.append((said, places))
            size = 0
            fresh = sum(weights[identity] for identity in known)
        said.append(Said(claim, tuple(places.setdefault(identity, len(places)) for identity in known)))
        cited.update(known)
        size += alone + fresh
    for identity, weight in weights.items():
        if identity not in cited:
            if size + weight > PART_BYTES:
                parts.append(([], {}))
                size = 0
            parts[-1][1][identity] = len(parts[-1][1])
            size += weight
    return [
        Collected(
            scan=command.scan,
            run=command.run,
            batch=command.batch,
            item=item.id,
            module=command.module,
            version=command.version,
            subject=item.subject,
            turn=item.turn,
            part=number,
            at=result.at,
            said=tuple(said),
            records=tuple(result.records[identity] for identity in places),
            outcome=result.outcome if number == len(parts) - 1 else None,
            reason=result.reason if number == len(parts) - 1 else "",
            parts=len(parts) if number == len(parts) - 1 else 0,
            requests=result.requests if number == len(parts) - 1 else 0,
            retry_after=result.retry_after if number == len(parts) - 1 else None,
        )
        for number, (said, places) in enumerate(parts)
    ]


def part_key(part: Collected) -> str:
    """What a part of a result is known by, so that one which is sent again is the same message."""
    return f"{part.item.hex}|{part.turn}|{part.part}"


def _citable(ids: Iterable[bytes], weights: Mapping[bytes, int], room: int) -> list[bytes]:
    """The records that a claim cites: the first ones, as many as there is room for."""
    known: list[bytes] = []
    for identity in ids:
        if identity in weights:
            room -= weights[identity] + PLACE_BYTES
            if known and (room < 0 or len(known) >= CITED_PER_CLAIM):
                break
            known.append(identity)
    return known
