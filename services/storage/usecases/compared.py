"""What is said of things at two times, side by side, and how a difference is told."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from services.contracts.claims import Claim, Entity, Relation, claim_line
from services.contracts.resources import Change
from services.storage.domain import ABSENCE, ATTRIBUTE
from services.storage.store.reading import StoredClaim


def grouped(claims: Sequence[StoredClaim]) -> dict[int, tuple[StoredClaim, ...]]:
    """Claims by what they are about."""
    ordered = sorted(claims, key=attrgetter("about"))
    return {about: tuple(group) for about, group in groupby(ordered, key=attrgetter("about"))}


def positive(claims: Sequence[StoredClaim]) -> list[StoredClaim]:
    """Those that do not say that there is none."""
    return [claim for claim in claims if claim.kind != ABSENCE]


def by_saying(claims: Sequence[StoredClaim]) -> dict[tuple[str, str], list[StoredClaim]]:
    """Attributes by name and value, with all who say so."""
    said: dict[tuple[str, str], list[StoredClaim]] = {}
    for claim in claims:
        if claim.kind == ATTRIBUTE:
            said.setdefault((claim.name, claim.value), []).append(claim)
    return said


def modules(claims: Sequence[StoredClaim]) -> tuple[str, ...]:
    """Who says so."""
    return tuple(sorted({claim.module for claim in claims}))


def describe(kind: str, claim: Claim, what: str, modules: tuple[str, ...]) -> Change:
    """A change of kind ``kind`` in what a claim is about; ``what`` it is that changed, if not that it is said."""
    match claim:
        case Relation(type=name, source=source, target=target):
            layer, value = "relation", f"{source.value} → {target.value}"
        case Entity(type=name):
            layer, value = "entity", claim.value
        case _:
            layer, name, value = "entity", claim.about.type, claim.about.value
    return Change(
        kind=kind,  # type: ignore[arg-type]
        layer=layer,  # type: ignore[arg-type]
        type=name,
        value=value,
        what=what or (claim_line(claim) if isinstance(claim, Relation) and claim.qualifiers else ""),
        modules=modules,
    )
