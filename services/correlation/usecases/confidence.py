"""How sure one can be of what storage has, by the policy of the workspace."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.contracts.claims import Value
from services.contracts.endpoints import GET_ENTITY
from services.contracts.resources import Assertion, EntityQuery, EntityView, RelationView
from services.contracts.resources.confidence import (
    ConfidenceQuery,
    ConfidenceStatement,
    ConfidenceTerm,
    ConfidenceView,
    PolicyChange,
    PolicyHalfLife,
    PolicySource,
    PolicyView,
)
from services.correlation.domain.confidence import Judge, Term, Weighed, Word, number
from services.correlation.domain.origins import SOURCES
from services.correlation.domain.policy import EXISTS, HALF_LIVES, USUAL, USUAL_HALF_LIFE, changed
from services.correlation.store.policy import SetPolicy, read_policy, write_policy
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid
from services.kernel.messages import now
from services.kernel.service import Ports

#: Relations of one entity that are shown: a hub has tens of thousands.
MOST_RELATIONS: Final = 500
LONGEST_REASON: Final = 1_000


async def get_confidence(ports: Ports, caller: Caller, query: ConfidenceQuery) -> tuple[ConfidenceView, ...]:
    """Say of entities of a value how sure one can be of all that is said of them, and why."""
    asked = EntityQuery(value=query.value, type=query.type, scan=query.scan)
    entities = await ports.calls.ask(GET_ENTITY, asked, caller)
    async with ports.sql.read() as view:
        kept = await read_policy(view, caller.workspace)
    judge = Judge(kept.policy, now=now())
    return tuple(_view(judge, entity, query.predicate) for entity in entities)


async def get_policy(ports: Ports, caller: Caller, question: Nothing) -> PolicyView:
    async with ports.sql.read() as view:
        return _policy_view(await read_policy(view, caller.workspace))


async def set_policy(ports: Ports, caller: Caller, change: PolicyChange) -> PolicyView:
    """Change how sources are judged; it counts from the next question on, and nothing is asked again.

    Raises:
        Invalid: there is no such source or predicate, or a number is none that it can have.
    """
    if len(change.reason) > LONGEST_REASON or not change.reason.isprintable():
        raise Invalid(f"a reason is printable text of at most {LONGEST_REASON:,} characters")
    async with ports.outbox.unit() as unit:
        # Two changes at once must not undo each other.
        await unit.tx.lock(f"policy|{caller.workspace.hex}")
        kept = SetPolicy() if change.reset else await read_policy(unit.tx, caller.workspace)
        policy = changed(kept.policy, change.reliability, change.half_lives)
        said = SetPolicy(policy, now(), caller.name, change.reason)
        await write_policy(unit.tx, caller.workspace, said)
    return _policy_view(said)


def _policy_view(said: SetPolicy) -> PolicyView:
    policy = said.policy
    return PolicyView(
        sources=tuple(
            PolicySource(
                module=module,
                origin=source.origin,
                activity=source.activity,
                reliability=policy.reliability_of(module),
                usual=source.reliability,
                reason=source.reason,
            )
            for module, source in sorted(SOURCES.items())
        ),
        fading=tuple(
            PolicyHalfLife(predicate=name, days=policy.half_life_of(name), usual=USUAL.half_life_of(name))
            for name in sorted({*HALF_LIVES, *policy.half_lives})
        ),
        reliability=policy.reliability,
        half_lives=policy.half_lives,
        usual_half_life=USUAL_HALF_LIFE,
        at=said.at,
        who=said.who,
        reason=said.reason,
    )


def _view(judge: Judge, entity: EntityView, predicate: str) -> ConfidenceView:
    absent = {absence.predicate: _words(absence.assertions) for absence in entity.absences}
    related = [relation for relation in entity.relations if predicate in {"", relation.type}]
    statements: list[ConfidenceStatement] = []
    if predicate in {"", EXISTS}:
        statements += _existence(judge, entity, absent.get(EXISTS, []))
    statements += _attributes(judge, entity, absent, predicate)
    statements += _relations(judge, entity, related[:MOST_RELATIONS], absent)
    statements += _denied(judge, entity, related, absent)
    return ConfidenceView(
        id=entity.id,
        type=entity.type,
        value=entity.value,
        at=judge.now,
        statements=tuple(statements),
        left_out=max(0, len(related) - MOST_RELATIONS),
    )


def _existence(judge: Judge, entity: EntityView, absent: list[Word]) -> Iterator[ConfidenceStatement]:
    """That it is there: who says what it is like, or how it relates to others, says so too.

    Of each module in a scan the strongest word is enough, as no other counts; a hub has tens of thousands.
    """
    said = (
        *entity.assertions,
        *(each for value in entity.attributes for each in value.assertions),
        *(each for relation in entity.relations for each in relation.assertions),
    )
    best: dict[tuple[str, int, bytes], tuple[float, Word]] = {}
    for word in _words(said):
        key, weight = (word.module, word.version, word.scan), judge.weight_of(EXISTS, [word])
        if key not in best or weight > best[key][0]:
            best[key] = (weight, word)
    for weighed in judge.weigh(EXISTS, {True: [word for _, word in best.values()]}, absent):
        statement = _statement(judge, EXISTS, weighed)
        yield statement if weighed.absent else replace(statement, more=len(said) - len(statement.terms))


def _attributes(
    judge: Judge, entity: EntityView, absent: Mapping[str, list[Word]], predicate: str
) -> Iterator[ConfidenceStatement]:
    values: dict[str, dict[Value, list[Word]]] = {}
    for value in entity.attributes:
        values.setdefault(value.name, {})[value.value] = _words(value.assertions)
    related = {relation.type for relation in entity.relations if _leads_from(relation, entity)}
    for name in sorted({*values, *(absent.keys() - related - {EXISTS})}):
        for weighed in judge.weigh(name, values.get(name, {}), absent.get(name, [])) if predicate in {"", name} else ():
            yield _statement(judge, name, weighed)


def _relations(
    judge: Judge, entity: EntityView, relations: Iterable[RelationView], absent: Mapping[str, list[Word]]
) -> Iterator[ConfidenceStatement]:
    """Each relation, against the word that there is none of its type where it leads from the entity."""
    for relation in relations:
        leads = _leads_from(relation, entity)
        against = absent.get(relation.type, []) if leads else []
        ranked = judge.weigh(relation.type, {True: _words(relation.assertions)}, against)
        weighed = next(each for each in ranked if not each.absent)
        yield _statement(judge, relation.type, weighed, relation=relation, outward=leads)


def _denied(
    judge: Judge, entity: EntityView, relations: Sequence[RelationView], absent: Mapping[str, list[Word]]
) -> Iterator[ConfidenceStatement]:
    """That there is no relation of a type, where others say that there is one."""
    for name, words in sorted(absent.items()):
        told = [
            word
            for relation in relations
            if relation.type == name and _leads_from(relation, entity)
            for word in _words(relation.assertions)
        ]
        for weighed in judge.weigh(name, {True: told}, words) if told else ():
            if weighed.absent:
                yield _statement(judge, name, weighed)


def _leads_from(relation: RelationView, entity: EntityView) -> bool:
    return (relation.source_type, relation.source_value) == (entity.type, entity.value)


def _statement(
    judge: Judge, predicate: str, weighed: Weighed, *, relation: RelationView | None = None, outward: bool = True
) -> ConfidenceStatement:
    kind, other = "", ""
    if relation is not None:
        kind, other = (
            (relation.target_type, relation.target_value) if outward else (relation.source_type, relation.source_value)
        )
    shown = _shown(weighed.terms)
    return ConfidenceStatement(
        predicate=predicate,
        number=number(weighed.confidence),
        exact=weighed.confidence,
        support=weighed.support,
        odds=weighed.odds,
        against=weighed.against,
        wins=weighed.wins,
        half_life=judge.policy.half_life_of(predicate),
        value=None if weighed.absent or relation is not None or predicate == EXISTS else weighed.value,
        absent=weighed.absent,
        target_type=kind,
        target_value=other,
        outward=outward,
        qualifiers={} if relation is None else relation.qualifiers,
        terms=tuple(_term(judge, term) for term in shown),
        more=len(weighed.terms) - len(shown),
    )


def _shown(terms: Sequence[Term]) -> list[Term]:
    """The terms that count, and of each other module its best: a name is said by one module a hundred times."""
    heard: set[str] = set()
    shown = []
    for term in terms:
        if not term.omitted or term.word.module not in heard:
            shown.append(term)
        heard.add(term.word.module)
    return shown


def _term(judge: Judge, term: Term) -> ConfidenceTerm:
    word = term.word
    own = judge.policy.reliability
    return ConfidenceTerm(
        module=word.module,
        version=word.version,
        origin=term.origin,
        at=word.at,
        reliability=term.reliability,
        set_here=word.module in own or term.origin in own,
        stated=word.confidence,
        freshness=term.freshness,
        strength=term.strength,
        omitted=term.omitted,
        scan=UUID(bytes=word.scan) if word.scan else None,
        evidence=word.evidence,
    )


def _words(assertions: Iterable[Assertion]) -> list[Word]:
    return [
        Word(
            each.module,
            each.version,
            each.at,
            each.confidence,
            each.valid_to,
            each.scan.bytes if each.scan is not None else b"",
            each.evidence,
        )
        for each in assertions
    ]
