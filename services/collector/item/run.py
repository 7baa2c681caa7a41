"""Runs one module on one work item: asks, parses, checks, stamps, and says how it went."""

import asyncio
import hashlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from services.collector.budget import Wait
from services.collector.context import (
    Answer,
    Blocked,
    Context,
    Dns,
    Http,
    ParseError,
    RateLimited,
    Skipped,
    SourceError,
    Tcp,
    Tls,
    Truncated,
    Unauthorised,
    Whois,
)
from services.collector.item.exchange import Exchanges
from services.collector.manifest import Manifest, ModuleFile, digest_of_file
from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Absence, Attribute, Claim, Entity, Malformed, OutsideVocabulary, Relation
from services.contracts.entities import ENTITY_TYPES
from services.contracts.evidence import EvidenceRecord
from services.contracts.facts import Outcome
from services.contracts.relations import RELATION_TYPES
from services.contracts.scope import Scope
from services.contracts.subjects import Subject
from services.kernel.errors import Incompatible, MirageError, meaning
from services.kernel.messages import now

#: One claim larger than this is no claim but an attempt to fill the store.
CLAIM_BYTES: Final = 65_536
CLAIMS_PER_ITEM: Final = 100_000
PARSED_ELSEWHERE: Final = 500_000

OUTCOMES: Final[tuple[tuple[type[SourceError], Outcome], ...]] = (
    (RateLimited, "rate_limited"),
    (Blocked, "blocked"),
    (Unauthorised, "unauthorised"),
    (Truncated, "truncated"),
    (Skipped, "skipped"),
    (SourceError, "unreachable"),
)

_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class Result(Struct, frozen=True, kw_only=True):
    """What came of a work item: claims with the ids of their evidence, and all evidence by id.

    ``sizes`` are the bytes of each claim in a message. ``digest`` is equal when the same was claimed, whatever the
    evidence and the order.
    """

    said: tuple[tuple[Claim, tuple[bytes, ...]], ...]
    sizes: tuple[int, ...]
    digest: bytes
    records: dict[bytes, EvidenceRecord]
    outcome: Outcome
    reason: str
    requests: int
    at: int
    retry_after: float | None = None


class ItemContext(Context):
    """The `Context` of one work item."""

    def __init__(
        self,
        *,
        http: Http,
        dns: Dns,
        whois: Whois,
        tls: Tls,
        tcp: Tcp,
        scope: Scope,
        at: int,
        options: Mapping[str, Any],
        wordlist: Callable[[], Iterator[str]],
        key: Callable[[], str | None],
        exchanges: Exchanges,
    ) -> None:
        self.http = http
        self.dns = dns
        self.whois = whois
        self.tls = tls
        self.tcp = tcp
        self.scope = scope
        self.now = at
        self.options = options
        self.wordlist = wordlist
        self.exchanges = exchanges
        self._key = key

    def key(self) -> str | None:
        """See `Context.key`."""
        secret = self._key()
        if secret:
            self.exchanges.use_key(secret)
        return secret


class Module(Struct, frozen=True):
    """A module with its code."""

    manifest: Manifest
    collect: Callable[[Any, Context], Any]
    parse: Callable[[Any, Any], Iterable[Claim]]


def import_module_of(file: ModuleFile) -> Module:
    """Import the code of a module, which is done when it is first needed.

    Raises:
        Incompatible: its file is not what it was when its manifest was read, so that its version would be a lie.
    """
    if digest_of_file(file.path.read_bytes()) != file.digest:
        raise Incompatible(f"{file.path.name} was changed while this process ran: begin it anew")
    code = import_module(f"services.collector.modules.{file.manifest.id}")
    return Module(file.manifest, code.collect, code.parse)


def failed(reason: str) -> Result:
    """The result of an item that could not even be begun."""
    return Result(
        said=(),
        sizes=(),
        digest=digest_of(()),
        records={},
        outcome="failed",
        reason=readable(reason),
        requests=0,
        at=now(),
    )


def readable(reason: str) -> str:
    """A reason that fits into a message, whatever a source had to say in it."""
    return reason[:500].encode("utf-8", "replace").decode()


class OutsideManifest(Exception):
    """A module claimed a type that its manifest does not announce."""


async def run_item(module: Module, subject: Subject, context: ItemContext) -> Result:
    """Run a module on a subject.

    Raises:
        Wait: the work is to be given back for a while.
        Unavailable, Exhausted: something that the collector needs is away.
    """
    said: dict[bytes, tuple[Claim, tuple[bytes, ...]]] = {}
    outcome: Outcome
    reason, retry_after = "", None
    try:
        async with asyncio.timeout(module.manifest.timeout):
            answers = module.collect(subject, context)
            try:
                async for answer in answers:
                    await _take(module, answer, subject, said)
            finally:
                await answers.aclose()
        outcome = "found" if said else "empty"
    except Wait:
        raise
    except MirageError as error:
        if meaning(error).bus == "pause":
            raise  # nothing is wrong with the item: the disk is full, or a service is away
        outcome, reason = meaning(error).outcome, f"{type(error).__name__}: {error}"
    except SourceError as failure:
        outcome = next(name for form, name in OUTCOMES if isinstance(failure, form))
        reason = str(failure)
        if isinstance(failure, RateLimited):
            retry_after = failure.after
            await context.exchanges.rest(failure)
    except TimeoutError:
        outcome, reason = "unreachable", f"took longer than {module.manifest.timeout:g} s"
    except (ParseError, Malformed, OutsideManifest) as error:
        outcome, reason = "failed", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  a fault of one module stays its own
        trace = context.exchanges.mask(traceback.format_exc())
        _log.error("module failed", module=module.manifest.id, trace=trace)
        outcome, reason = "failed", f"{type(error).__name__}: {error}"
    return Result(
        said=tuple(said.values()),
        sizes=tuple(map(len, said)),
        digest=digest_of(said),
        records=context.exchanges.records,
        outcome=outcome,
        reason=readable(context.exchanges.mask(reason)),
        requests=context.exchanges.made,
        at=now(),
        retry_after=retry_after,
    )


async def _take(
    module: Module, answer: Answer, subject: Subject, said: dict[bytes, tuple[Claim, tuple[bytes, ...]]]
) -> None:
    """Parse one answer and keep its claims; a large one is parsed off the event loop."""
    size = len(getattr(answer, "body", b""))
    if size > PARSED_ELSEWHERE:
        claims: Iterable[Claim] = await asyncio.to_thread(list, module.parse(answer, subject))
    else:
        claims = module.parse(answer, subject)
    for claim in claims:
        _check(module.manifest, claim)
        line = _encode(claim)
        if len(line) > CLAIM_BYTES:
            raise OutsideManifest(f"a claim of {len(line)} bytes")
        if line in said:
            continue
        if len(said) >= CLAIMS_PER_ITEM:
            raise OutsideManifest(f"more than {CLAIMS_PER_ITEM} claims from one subject")
        said[line] = (claim, answer.records)


def _check(manifest: Manifest, claim: Claim) -> None:
    """See that a claim is announced and in the vocabulary; the normal forms are the constructors' business."""
    match claim:
        case Entity(type=kind):
            announced, known = kind in manifest.produces, kind in ENTITY_TYPES
        case Relation(type=kind, source=source, target=target):
            form = RELATION_TYPES.get(kind)
            announced, known = kind in manifest.produces, form is not None and (source.type, target.type) in form.pairs
        case Attribute(about=about, name=name, value=value):
            kind, of = about.type, ATTRIBUTES.get(name)
            announced = kind in manifest.produces or kind in manifest.consumes
            known = of is not None and kind in of.about and type(value) is of.value
        case Absence(about=about):
            kind, known = about.type, about.type in ENTITY_TYPES
            announced = kind in manifest.produces or kind in manifest.consumes
    if not announced:
        raise OutsideManifest(f"{manifest.id} does not announce that it produces {kind}")
    if not known:
        raise OutsideVocabulary(f"{manifest.id} says of a {kind} what is not in the vocabulary: {claim!r:.200}")


def digest_of(lines: Iterable[bytes]) -> bytes:
    """A digest over encoded claims, in no order."""
    return hashlib.sha256(b"\n".join(sorted(lines))).digest()
