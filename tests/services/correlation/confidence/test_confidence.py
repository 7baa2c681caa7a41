"""A number of confidence: what raises it, what lowers it, what leaves it as it is, and that it opens into its terms."""

from math import fsum, prod
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.contracts import attributes, entities
from services.contracts.claims import Value
from services.contracts.resources.storage import EntityFacts, SaidAbsence, SaidBy, SaidValue
from services.correlation.domain import confidence as domain
from services.correlation.domain.confidence import Judge, Weighed, Word, number
from services.correlation.domain.origins import SOURCES
from services.correlation.domain.policy import Policy

NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
JUDGE = Judge(now=NOW)
MANY, SINGLE = "provider_verification", "registrar"
NAME = entities.domain("example.org")

modules = st.sampled_from([*SOURCES, "brought_along"])
words = st.builds(
    Word,
    module=modules,
    version=st.integers(1, 3),
    at=st.integers(NOW - 4_000 * DAY, NOW + DAY),
    confidence=st.integers(0, 100),
    valid_to=st.none() | st.integers(NOW - 8_000 * DAY, NOW + 100 * DAY),
)
in_scans = st.builds(
    Word, module=modules, version=st.just(1), at=st.integers(NOW - 900 * DAY, NOW),
    confidence=st.integers(1, 100), scan=st.sampled_from([b"1", b"2", b"3"]),
)  # fmt: skip
said = st.lists(words, min_size=1, max_size=6)
claims = st.dictionaries(st.sampled_from(["one", "two", "three"]), said, min_size=1)


def word(module: str, days: float = 0, confidence: int = 100, scan: bytes = b"") -> Word:
    return Word(module, 1, NOW - int(days * DAY), confidence, None, scan)


def weigh(predicate: str, values: dict[Value, list[Word]], absent: list[Word] | None = None) -> dict[object, Weighed]:
    return {each.value: each for each in JUDGE.weigh(predicate, values, absent or ())}


def sure(*said: Word, predicate: str = MANY) -> float:
    return JUDGE.weigh(predicate, {"one": said})[0].confidence


def test_one_word_is_worth_its_reliability() -> None:
    assert sure(word("gleif")) == pytest.approx(0.95)
    assert sure(word("gleif", confidence=40)) == pytest.approx(0.38)


def test_it_halves_with_each_half_life() -> None:
    half = Judge(Policy(half_lives={MANY: 30.0}), now=NOW)
    for halvings in range(4):
        (weighed,) = half.weigh(MANY, {"one": [word("gleif", days=30 * halvings)]})
        assert weighed.confidence == pytest.approx(0.95 / 2**halvings)


def test_what_does_not_fade_is_as_sure_after_ten_years() -> None:
    assert sure(word("tls_certificate", days=3_650), predicate="serial_number") == pytest.approx(0.95)


def test_what_ended_fades_from_its_end_and_not_from_when_it_was_asked() -> None:
    ended = Word("otx", 1, NOW, 100, NOW - 1_000 * DAY)
    assert sure(ended) < sure(word("otx", days=999))


def test_modules_of_one_origin_count_once_and_independent_ones_add_up() -> None:
    assert sure(word("crtsh"), word("certspotter")) == sure(word("crtsh"))
    assert sure(word("crtsh"), word("urlscan")) == pytest.approx(1 - 0.1 * 0.2)


@given(said, words)
def test_one_more_independent_source_that_agrees_never_lowers_it(said: list[Word], more: Word) -> None:
    origin = domain.source_of(more.module).origin
    assume(all(domain.source_of(each.module).origin != origin for each in said))
    assert sure(*said, more) >= sure(*said)


@given(said, words)
def test_one_more_that_contradicts_never_raises_it(said: list[Word], more: Word) -> None:
    assume(all(each.module != more.module for each in said))
    assert (
        weigh(SINGLE, {"one": said, "two": [more]})["one"].confidence <= weigh(SINGLE, {"one": said})["one"].confidence
    )
    for predicate in (SINGLE, MANY):
        alone = weigh(predicate, {"one": said})["one"].confidence
        assert weigh(predicate, {"one": said}, [more])["one"].confidence <= alone


@given(claims, st.lists(words, max_size=3), st.sampled_from([SINGLE, MANY]), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(
    values: dict[Value, list[Word]], absent: list[Word], predicate: str, random: Random
) -> None:
    shuffled = {
        value: random.sample(said, len(said)) + said[:1]
        for value, said in random.sample([*values.items()], len(values))
    }
    before, after = JUDGE.weigh(predicate, values, absent), JUDGE.weigh(predicate, shuffled, absent[::-1])
    assert [(each.value, each.confidence, each.wins) for each in before] == [
        (each.value, each.confidence, each.wins) for each in after
    ]


@given(claims, st.lists(in_scans, max_size=3), st.sampled_from([SINGLE, MANY]))
def test_every_number_is_made_of_its_terms_and_nothing_else(
    values: dict[Value, list[Word]], absent: list[Word], predicate: str
) -> None:
    for each in JUDGE.weigh(predicate, values, absent):
        counting = [term for term in each.terms if not term.omitted]
        assert len({term.origin for term in counting}) == len(counting)
        for term in each.terms:
            product = term.reliability * term.word.confidence / 100 * term.freshness
            assert term.strength == pytest.approx(min(product, domain.STRONGEST))
        disbelief = prod(1 - term.strength for term in counting)
        assert each.odds == pytest.approx((1 - disbelief) / disbelief)
        assert each.confidence == pytest.approx(each.odds / (1 + each.odds + each.against))


@given(
    st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(in_scans, min_size=1, max_size=5), min_size=1),
    modules,
)
def test_without_a_source_it_is_what_it_would_be_had_it_never_spoken(
    values: dict[Value, list[Word]], gone: str
) -> None:
    """Retracting it leaves no trace: the same numbers, to the last digit, as without its words."""
    left = {value: [each for each in said if each.module != gone] for value, said in values.items()}
    silenced = Judge(Policy(reliability={gone: 0.0}), now=NOW)
    without = {each.value: each.confidence for each in JUDGE.weigh(SINGLE, {v: s for v, s in left.items() if s})}
    with_none = {each.value: each.confidence for each in silenced.weigh(SINGLE, values)}
    assert {value: found for value, found in with_none.items() if value in without} == without


@given(claims)
def test_the_values_of_which_one_is_true_are_never_sure_together(values: dict[Value, list[Word]]) -> None:
    weighed = JUDGE.weigh(SINGLE, values)
    assert fsum(each.confidence for each in weighed) <= 1 + 1e-12
    assert sum(each.wins for each in weighed) <= 1
    assert all(each.confidence <= weighed[0].confidence for each in weighed)


@given(claims)
def test_equal_terms_give_equal_numbers_and_one_winner(values: dict[Value, list[Word]]) -> None:
    said = next(iter(values.values()))
    weighed = JUDGE.weigh(SINGLE, dict.fromkeys(("b", "a", "c"), said))
    assert len({each.confidence for each in weighed}) == 1
    assert [each.value for each in weighed if each.wins] in (["a"], [])


@given(said, st.lists(words, max_size=3), st.sampled_from([SINGLE, MANY, "exists", "resolves_to"]))
def test_the_quick_number_is_that_of_the_terms(said: list[Word], absent: list[Word], predicate: str) -> None:
    weighed = next(each for each in JUDGE.weigh(predicate, {"one": said}, absent) if not each.absent)
    assert JUDGE.number_of(predicate, said, absent) == number(weighed.confidence)


def test_no_number_is_100_however_many_agree() -> None:
    assert JUDGE.number_of("exists", [word(module) for module in SOURCES]) == 99


def test_the_reliability_of_a_source_decides_who_wins_without_asking_anybody_again() -> None:
    values: dict[Value, list[Word]] = {"Registrar A": [word("rdap_domain")], "Registrar B": [word("otx")]}
    assert [each.value for each in JUDGE.weigh(SINGLE, values) if each.wins] == ["Registrar A"]
    other = Judge(Policy(reliability={"rdap_domain": 0.3}), now=NOW)
    assert [each.value for each in other.weigh(SINGLE, values) if each.wins] == ["Registrar B"]
    by_origin = Judge(Policy(reliability={"registration_data": 0.3}), now=NOW)
    assert [each.value for each in by_origin.weigh(SINGLE, values) if each.wins] == ["Registrar B"]
    both = Judge(Policy(reliability={"registration_data": 0.3, "rdap_domain": 0.9}), now=NOW)
    assert [each.value for each in both.weigh(SINGLE, values) if each.wins] == ["Registrar A"]


def test_a_source_that_says_something_else_in_a_later_scan_contradicts_nobody() -> None:
    before, after = word("whois", days=30, scan=b"1"), word("whois", days=1, scan=b"2")
    weighed = weigh(SINGLE, {"old": [before], "new": [after]})
    assert [term.omitted for term in weighed["old"].terms] == ["superseded"]
    assert weighed["old"].confidence == 0
    assert weighed["new"].confidence == pytest.approx(sure(after, predicate=SINGLE))
    assert weighed["new"].wins


def test_what_was_said_before_and_is_absent_now_is_superseded_too() -> None:
    weighed = weigh(MANY, {"one": [word("dns_records", 9, scan=b"1")]}, [word("dns_records", 1, scan=b"2")])
    assert (weighed["one"].confidence, weighed["one"].wins, weighed[None].wins) == (0, False, True)


def test_values_of_an_attribute_of_which_there_are_many_stand_beside_each_other() -> None:
    assert attributes.ATTRIBUTES[MANY].many
    weighed = weigh(MANY, {"one": [word("gleif")], "two": [word("urlscan")]})
    assert [each.wins for each in weighed.values()] == [True, True]
    assert weighed["one"].confidence == sure(word("gleif"))


def test_a_tie_is_won_by_more_origins_then_by_the_newest_word() -> None:
    policy = Judge(Policy(reliability={"gleif": 0.75, "urlscan": 0.5, "myssl": 0.5}, half_lives={SINGLE: 0}), now=NOW)
    values: dict[Value, list[Word]] = {"a": [word("gleif")], "b": [word("urlscan"), word("myssl")]}
    weighed = policy.weigh(SINGLE, values)
    assert [each.value for each in weighed if each.wins] == ["b"]
    assert weighed[0].confidence == weighed[1].confidence
    values = {"a": [word("gleif", days=2)], "b": [word("gleif", days=1)]}
    assert [each.value for each in policy.weigh(SINGLE, values) if each.wins] == ["b"]


saying = st.builds(
    SaidBy, module=modules, version=st.just(1), at=st.sampled_from([NOW, NOW - 90 * DAY]),
    confidence=st.sampled_from([50, 100]), subject=st.just(b""), evidence=st.just(()),
)  # fmt: skip
several = st.lists(saying, min_size=1, max_size=3).map(tuple)


@given(
    st.dictionaries(st.sampled_from(["one", "two", "three"]), several, min_size=1),
    st.lists(saying, max_size=2).map(tuple),
    st.sampled_from([SINGLE, MANY]),
)
def test_the_quick_winner_is_that_of_the_terms(
    values: dict[str, tuple[SaidBy, ...]], absent: tuple[SaidBy, ...], name: str
) -> None:
    facts = EntityFacts(
        entity=NAME, role=None, distance=None, first_seen=1, last_seen=2,
        attributes=tuple(SaidValue(name, value, said) for value, said in values.items()),
        absences=(SaidAbsence(name, absent),),
    )  # fmt: skip
    plain = {value: [Word(each.module, 1, each.at, each.confidence) for each in said] for value, said in values.items()}
    denied = [Word(each.module, 1, each.at, each.confidence) for each in absent]
    first = next(each for each in JUDGE.weigh(name, plain, denied) if not each.absent)
    found = JUDGE.winner(facts, name)
    assert found is not None
    assert (found[0].value, found[1]) == (first.value, number(first.confidence))


def test_the_winner_of_facts_is_that_of_their_words() -> None:
    by = {name: SaidBy(name, 1, NOW, 100, b"", ()) for name in ("rdap_domain", "otx", "dns_records")}
    facts = EntityFacts(
        entity=NAME, role="target", distance=0, first_seen=1, last_seen=2, said=(by["otx"],),
        attributes=(SaidValue(SINGLE, "A", (by["otx"],)), SaidValue(SINGLE, "B", (by["rdap_domain"],))),
        absences=(SaidAbsence("exists", (by["dns_records"],)),),
    )  # fmt: skip
    found = JUDGE.winner(facts, SINGLE)
    assert found is not None
    assert (found[0].value, found[1]) == ("B", number(9 / (1 + 9 + 1.5)))
    assert JUDGE.winner(facts, "title") is None
    # Both who name it and who say what it is like say that it exists; 0.04 is left open, against odds of 19.
    assert JUDGE.exists(facts) == number(24 / (1 + 24 + 19))
