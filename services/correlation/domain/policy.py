"""What a workspace may set of confidence: how reliable sources are, and how fast what they said fades."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from math import isfinite
from typing import Final

from msgspec import Struct

from services.contracts.attributes import ATTRIBUTES
from services.contracts.relations import RELATION_TYPES
from services.correlation.domain.origins import ORIGINS, SOURCES, source_of
from services.kernel.errors import Invalid

EXISTS: Final = "exists"
#: The reliability of a source by the letters of the Admiralty code (NATO AJP-2.1), with the numbers that MISP gives
#: them; F, which nobody can judge, is the middle.
LETTERS: Final[dict[str, float]] = {"A": 1.0, "B": 0.75, "C": 0.5, "D": 0.25, "E": 0.0, "F": 0.5}
#: Days after which half is left of what was said, where no other number stands below; 0: it does not fade.
USUAL_HALF_LIFE: Final = 180.0
LONGEST_HALF_LIFE: Final = 36_500.0
_NEVER: Final = (
    # What a certificate says stands in its bytes, and what has happened stays so.
    *("subject", "issuer", "serial_number", "not_before", "not_after", "certificate_sha1", "tbs_sha256"),
    *("signature_algorithm", "key_algorithm", "key_size", "self_signed", "certificate_authority", "name_count"),
    *("precertificate", "logged_at", "validation", "created_at", "allocated_at", "published_at", "breached_at"),
    *("digest", "content_digest", "address_kind", "covers_name", "issued_by", "leaked_in"),
)
HALF_LIVES: Final[dict[str, float]] = {
    **dict.fromkeys(_NEVER, 0.0),
    **dict.fromkeys(("listed_by", "listing_reason", "anonymiser"), 7.0),
    **dict.fromkeys(("exposes", "state", "http_status", "maliciousness", "rpki_status", "resolution"), 14.0),
    **dict.fromkeys(("resolves_to", "presents", "serves", "banner", "product", "response_code"), 30.0),
    **dict.fromkeys(("alias_of", "reverse_resolves_to", "runs", "affected_by", "links_to", "title", "server"), 60.0),
    **dict.fromkeys(("announced_by", "uses_nameserver", "uses_mailserver", "has_record", "powered_by"), 90.0),
    **dict.fromkeys(("registrar", "registrant", "registered_as", "has_contact", "operated_by", "member_of"), 365.0),
    **dict.fromkeys(("located_at", "postal_address", "country", "expires_at", "controls", "same_as"), 365.0),
    **dict.fromkeys(("legal_name", "legal_form", "jurisdiction", "register_number", "part_of"), 1_095.0),
}


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What differs in a workspace: reliability (0 to 1) by module or origin, half-lives in days by what is said."""

    reliability: dict[str, float] = {}
    half_lives: dict[str, float] = {}

    def reliability_of(self, module: str) -> float:
        """What is set of the module, else of its origin, else what is usual of it."""
        source = source_of(module)
        found = self.reliability.get(module, self.reliability.get(source.origin))
        return source.reliability if found is None else found

    def half_life_of(self, predicate: str) -> float:
        """Days; 0 where what is said does not fade."""
        found = self.half_lives.get(predicate)
        return HALF_LIVES.get(predicate, USUAL_HALF_LIFE) if found is None else found


USUAL: Final = Policy()


def changed(
    policy: Policy, reliability: Mapping[str, float | str | None], half_lives: Mapping[str, float | None]
) -> Policy:
    """The policy with some of it set, or as it usually is (None).

    Raises:
        Invalid: there is no such source or predicate, or a number is none that it can have.
    """
    sources, lives = dict(policy.reliability), dict(policy.half_lives)
    for name, said in reliability.items():
        _see_known(name, _sources(), "module or origin")
        sources.pop(name, None)
        if said is not None:
            sources[name] = _reliability(name, said)
    for name, days in half_lives.items():
        _see_known(name, _predicates(), "attribute or relation")
        lives.pop(name, None)
        if days is not None:
            if not (isfinite(days) and 0 <= days <= LONGEST_HALF_LIFE):
                raise Invalid(f"the half-life of {name} is a number of days, 0 where it does not fade")
            lives[name] = float(days)
    return Policy(reliability=dict(sorted(sources.items())), half_lives=dict(sorted(lives.items())))


def _reliability(name: str, said: float | str) -> float:
    if isinstance(said, str):
        letter = LETTERS.get(said.strip().upper())
        if letter is None:
            raise Invalid(f"the reliability of {name} is a number from 0 to 1, or a letter from A to F")
        return letter
    if not 0 <= said <= 1:
        raise Invalid(f"the reliability of {name} is a number from 0 to 1, or a letter from A to F")
    return float(said)


def _see_known(name: str, known: frozenset[str], what: str) -> None:
    if name not in known:
        near = get_close_matches(name[:100], known, n=1)
        raise Invalid(f"there is no {what} {name[:100]!a}" + (f"; did you mean {near[0]}?" if near else ""))


@cache
def _sources() -> frozenset[str]:
    return ORIGINS | SOURCES.keys()


@cache
def _predicates() -> frozenset[str]:
    return frozenset({EXISTS, *ATTRIBUTES, *RELATION_TYPES})
