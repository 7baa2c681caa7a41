"""Which relationship of STIX 2.1 a relation is: one that the standard defines between such objects, or `related-to`."""

from typing import Final

_ADDRESSES: Final = ("ipv4-addr", "ipv6-addr")
#: By relation and the types of its objects (STIX 2.1, appendix B, and the common ones of section 3.7).
_STANDARD: Final = {
    **{("resolves_to", "domain-name", each): "resolves-to" for each in _ADDRESSES},
    ("alias_of", "domain-name", "domain-name"): "resolves-to",
    **{("announced_by", each, "autonomous-system"): "belongs-to" for each in _ADDRESSES},
    ("located_at", "identity", "location"): "located-at",
    ("located_at", "infrastructure", "location"): "located-at",
}
_SAME: Final = "same_as"


def relationship_type(relation: str, source: str, target: str) -> str:
    """The type of the relationship between the objects of these ids."""
    ends = source.partition("--")[0], target.partition("--")[0]
    if relation == _SAME and ends[0] == ends[1] and source != target:
        return "duplicate-of"
    return _STANDARD.get((relation, *ends), "related-to")


def relation_of(relationship: str, source: str, target: str) -> str:
    """The relation that a relationship of the standard is between such objects, for what others have written."""
    if relationship == "duplicate-of":
        return _SAME
    return _RELATIONS.get((relationship, source, target), "")


_RELATIONS: Final = {(standard, *ends): relation for (relation, *ends), standard in _STANDARD.items()}
