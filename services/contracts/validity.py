"""Whether a claim that came from elsewhere is one that the constructors here would have made."""

from services.contracts.attributes import ATTRIBUTES, attribute
from services.contracts.claims import Absence, Attribute, Claim, Entity, Malformed, OutsideVocabulary, Relation
from services.contracts.entities import entity
from services.contracts.names import shown
from services.contracts.relations import RELATION_TYPES, relation


def absence(about: Entity, predicate: str) -> Absence:
    """Say that there is none: no such entity (``exists``), no relation from it, no such attribute.

    Raises `OutsideVocabulary` for a predicate that an entity of this type cannot have.
    """
    known = RELATION_TYPES.get(predicate)
    if known is not None:
        sound = any(source == about.type for source, _ in known.pairs)
    else:
        sound = predicate == "exists" or (predicate in ATTRIBUTES and about.type in ATTRIBUTES[predicate].about)
    if not sound:
        raise OutsideVocabulary(f"{shown(predicate)} is nothing that a {about.type} could have")
    return Absence(about, predicate)


def check(claim: Claim) -> None:
    """Raise `Malformed` unless the claim is valid and in normal form throughout."""
    match claim:
        case Entity():
            _check_entity(claim)
            return
        case Relation(type=name, source=source, target=target, qualifiers=qualifiers, details=details):
            _check_entity(source)
            _check_entity(target)
            sound = relation(name, source, target, qualifiers=qualifiers, details=details)
            normal = sound.qualifiers == qualifiers and sound.details == details
        case Attribute(about=about, name=name, value=value):
            _check_entity(about)
            normal = attribute(about, name, value).value == value
        case Absence(about=about, predicate=predicate):
            _check_entity(about)
            normal = bool(absence(about, predicate))
    if not normal:
        raise Malformed(f"a claim of {name if not isinstance(claim, Absence) else predicate} is not in normal form")


def _check_entity(found: Entity) -> None:
    if entity(found.type, *found.key).key != found.key:
        raise Malformed(f"{shown(found.value)} is not in normal form")
