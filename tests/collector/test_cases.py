"""Every module, replayed on every answer recorded for it."""

from pathlib import Path

import pytest

from services.collector.manifest import MODULES, read_manifest
from services.contracts.claims import Absence, Attribute, Claim, Entity, Relation
from services.contracts.subjects import Subject
from tests.collector.recorded import all_cases, claim_lines, read_case, replay


@pytest.mark.parametrize("path", all_cases(), ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_answer_teaches_what_it_always_taught(path: Path) -> None:
    case = read_case(path)
    manifest = read_manifest(MODULES / f"{path.parent.name}.py").manifest
    outcome = await replay(path)
    assert outcome.raised == case.raises
    assert outcome.unused == [], "answers that nobody asked for"
    assert claim_lines(outcome.claims) == claim_lines(case.claims)
    undeclared = {name for claim in outcome.claims for name in types_of(claim, case.seen)} - set(manifest.produces)
    assert undeclared == set(), "claimed, but not among `produces`"
    if isinstance(case.seen, Entity | Relation):
        assert case.seen.type in manifest.consumes


def types_of(claim: Claim, seen: Subject) -> set[str]:
    """The types that a claim brings into the graph; what was seen is there already."""
    match claim:
        case Entity():
            things = [claim]
        case Relation():
            things = [claim.source, claim.target]
        case Attribute() | Absence():
            things = [claim.about]
    known = (seen.source, seen.target) if isinstance(seen, Relation) else (seen,)
    brought = {thing.type for thing in things if all(_differs(thing, one) for one in known)}
    return brought | ({claim.type} if isinstance(claim, Relation) else set())


def _differs(thing: Entity, seen: Subject) -> bool:
    return not isinstance(seen, Entity) or (thing.type, thing.key) != (seen.type, seen.key)
