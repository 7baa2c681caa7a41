"""What people say of hypotheses, and what belongs together by that."""

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.contracts.resources.correlation import Named
from services.contracts.resources.identity import (
    ClusterQuery,
    ClusterView,
    DecideHypothesis,
    HypothesesPage,
    HypothesesQuery,
    HypothesisChange,
    HypothesisView,
)
from services.correlation.domain.identity.clusters import Cluster, Verdict, clusters_of
from services.correlation.domain.identity.hypotheses import Pair, hypothesis_id
from services.correlation.domain.identity.traits import Subject
from services.correlation.store import decisions as store
from services.correlation.store.decisions import Decision, Proposal, Wanted
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Reader

LONGEST_REASON: Final = 1_000
MOST_CHANGES: Final = 50
#: Members of a cluster that are looked up, and clusters of one value.
MOST_MEMBERS: Final = 500
MOST_CLUSTERS: Final = 20
_ALL: Final = (2.0, b"")
_VERDICTS: Final[dict[str, Verdict]] = {"accept": "accepted", "reject": "rejected"}


async def list_hypotheses(ports: Ports, caller: Caller, query: HypothesesQuery) -> HypothesesPage:
    """List what may be one, the likeliest first."""
    wanted = _wanted(query)
    async with ports.sql.read() as view:
        pairs = await store.list_pairs(view, caller.workspace, wanted)
        ids = [identity for identity, _ in pairs[: query.limit]]
        views = await _views(view, caller.workspace, ids, wanted.scan)
        if len(ids) == 1:
            history = await store.read_history(view, caller.workspace, ids[0], MOST_CHANGES)
            changes = tuple(HypothesisChange(status=s, at=at, who=w, reason=r) for s, at, w, r in history)  # type: ignore[arg-type]
            views = [replace(each, history=changes) for each in views]
    more = len(pairs) > query.limit
    last, score = pairs[query.limit - 1] if more else (b"", 0.0)
    return HypothesesPage(hypotheses=tuple(views), cursor=f"{score!r}:{last.hex()}" if more else None)


async def decide_hypothesis(ports: Ports, caller: Caller, question: DecideHypothesis) -> HypothesisView:
    """Say that two entities are one, or two, or that nobody knows; a person's word outlives what is proposed.

    Raises:
        NotFound: nothing is proposed or decided of such a pair.
    """
    if len(question.reason) > LONGEST_REASON or not question.reason.isprintable():
        raise Invalid(f"a reason is printable text of at most {LONGEST_REASON:,} characters")
    identity = question.hypothesis.bytes
    async with ports.outbox.unit() as unit:
        await unit.tx.lock(f"hypothesis|{caller.workspace.hex}|{identity.hex()}")
        known: list[Decision | Proposal] = [
            *(await store.read_decisions(unit.tx, caller.workspace, [identity])).values(),
            *(await store.read_proposals(unit.tx, caller.workspace, [identity])).values(),
        ]
        if not known:
            raise NotFound(f"there is no hypothesis {question.hypothesis}")
        at, who, why = now(), caller.name, question.reason
        if question.verdict == "reset":
            await store.take_back(unit.tx, caller.workspace, identity, at, who, why)
        else:
            said = Decision(identity, known[0].one, known[0].other, _VERDICTS[question.verdict], at, who, why)
            await store.write_decision(unit.tx, caller.workspace, said)
        views = await _views(unit.tx, caller.workspace, [identity])
    if views:
        return views[0]
    return _view(identity, known[0].one, known[0].other, None, None)


async def get_cluster(ports: Ports, caller: Caller, query: ClusterQuery) -> tuple[ClusterView, ...]:
    """Show the entities that those of a value were decided to be one with, and what contradicts that."""
    async with ports.sql.read() as view:
        starts = await store.decided_entities(view, caller.workspace, query.value, query.type, MOST_CLUSTERS)
        decided, cut = await _reached(view, caller.workspace, starts)
        clusters = [
            each
            for each in clusters_of((each.one, each.other, each.status) for each in decided.values())
            if any(member.id in starts for member in each.members)
        ]
        return tuple([await _cluster_view(view, caller.workspace, each, cut) for each in clusters])


async def _reached(view: Reader, workspace: UUID, starts: Collection[bytes]) -> tuple[dict[bytes, Decision], bool]:
    """All decisions about entities that accepted pairs lead to, and whether there are more than are looked up."""
    found: dict[bytes, Decision] = {}
    seen, frontier = set(starts), set(starts)
    while frontier:
        around = await store.decisions_about(view, workspace, frontier)
        found |= {each.id: each for each in around}
        ends = {end.id for each in around if each.status == "accepted" for end in (each.one, each.other)}
        frontier = ends - seen
        seen |= frontier
        if len(seen) > MOST_MEMBERS:
            return found, True
    return found, False


async def _cluster_view(view: Reader, workspace: UUID, cluster: Cluster, cut: bool) -> ClusterView:
    return ClusterView(
        type=cluster.representative.type,
        members=tuple(_named(member) for member in cluster.members),
        links=tuple(await _views(view, workspace, _ids(cluster.links))),
        conflicts=tuple(await _views(view, workspace, _ids(cluster.conflicts))),
        cut=cut,
    )


def _ids(pairs: Iterable[Pair]) -> list[bytes]:
    return [hypothesis_id(*pair).bytes for pair in pairs]


def _wanted(query: HypothesesQuery) -> Wanted:
    digits = query.id.strip().lower().replace("-", "")
    if len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
        raise Invalid(f"{query.id[:100]!a} is not the beginning of an id")
    return Wanted(
        scan=query.scan.bytes if query.scan is not None else None,
        status=query.status,
        least=query.least,
        entity=query.entity,
        other=query.other,
        first=bytes.fromhex(digits.ljust(32, "0")),
        last=bytes.fromhex(digits.ljust(32, "f")),
        after=_ALL if query.cursor is None else _place(query.cursor),
        limit=query.limit + 1,
    )


def _place(cursor: str) -> tuple[float, bytes]:
    score, _, identity = cursor.partition(":")
    try:
        return float(score), bytes.fromhex(identity)
    except ValueError:
        raise Invalid("this is no cursor that was given out here") from None


async def _views(
    view: Reader, workspace: UUID, ids: Collection[bytes], scan: bytes | None = None
) -> list[HypothesisView]:
    """Hypotheses in the order of their ids as they are given."""
    proposals = await store.read_proposals(view, workspace, ids, scan)
    decisions = await store.read_decisions(view, workspace, ids)
    found = []
    for identity in ids:
        proposal, decision = proposals.get(identity), decisions.get(identity)
        known = proposal or decision
        if known is not None:
            found.append(_view(identity, known.one, known.other, proposal, decision))
    return found


def _view(
    identity: bytes, one: Subject, other: Subject, proposal: Proposal | None, decision: Decision | None
) -> HypothesisView:
    return HypothesisView(
        id=UUID(bytes=identity),
        type=one.type,
        one=_named(one),
        other=_named(other),
        score=0.0 if proposal is None else proposal.score,
        status="proposed" if decision is None else decision.status,
        supported=proposal is not None,
        scan=None if proposal is None else UUID(bytes=proposal.scan),
        evidence=() if proposal is None else proposal.evidence,
        at=0 if decision is None else decision.at,
        who="" if decision is None else decision.who,
        reason="" if decision is None else decision.reason,
    )


def _named(subject: Subject) -> Named:
    return Named(subject.id.hex(), subject.type, subject.value)
