"""Judges a scan by rules in the form of SpiderFoot 4, which look at events: all of a scan at once, when it is quiet."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Final

import msgspec

from services.contracts.entities import ENTITY_TYPES
from services.contracts.resources.correlation import Named
from services.contracts.resources.storage import Facts
from services.correlation.domain.confidence import Judge
from services.correlation.domain.judging import MAX_ENTITIES, MAX_TITLE, Found, finding_id
from services.correlation.domain.knowledge import score_of
from services.correlation.domain.spiderfoot.engine import Result, evaluate
from services.correlation.domain.spiderfoot.events import Events
from services.correlation.domain.spiderfoot.needs import needs
from services.correlation.domain.spiderfoot.projection import Projection
from services.correlation.domain.spiderfoot.rule import SpiderFootRule
from services.correlation.domain.world import World

CATEGORY: Final = "correlation"


async def project(rules: Sequence[SpiderFootRule], world: World, now: int) -> Events:
    """The events of a scan that rules look at."""
    projection = Projection(reduce(or_, map(needs, rules)), now=now, score=score_of)
    async for places in world.of_types(list(ENTITY_TYPES)):
        projection.add(Facts(entities=tuple(place.facts for place in places)))
        async for ties in world.ties([place.id for place in places], (), "out"):
            projection.add(Facts(relations=tuple(tie.facts for tie in ties)))
    return projection.events()


def judge_events(rule: SpiderFootRule, events: Events, judge: Judge) -> list[Found]:
    """The findings of a rule; the first result where several are of one value."""
    found = {each.id: each for each in (_found(rule, result, judge) for result in reversed(evaluate(rule, events)))}
    return [each for each in found.values() if each.entities]


def _found(rule: SpiderFootRule, result: Result, judge: Judge) -> Found:
    entities = [Named(each.id.hex(), each.type, each.value) for each in result.entities[:MAX_ENTITIES]]
    said = [event.basis.said for event in result.events if event.basis is not None and event.basis.said is not None]
    return Found(
        id=finding_id(rule.id, result.value),
        rule=rule.id,
        version=rule.version,
        category=CATEGORY,
        severity=result.severity,
        confidence=judge.number_of("exists", said) if said else 100,
        title=_line(result.headline),
        entities=tuple(entities),
        matches=len(result.events),
        grounds=tuple(msgspec.structs.replace(ground, evidence=ground.evidence[:10]) for ground in result.grounds),
    )


def _line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_TITLE else plain[: MAX_TITLE - 1] + "…"
