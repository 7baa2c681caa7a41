"""Clusters are what accepted pairs connect, whatever the order, and nothing is lost by taking one back."""

from hypothesis import given
from hypothesis import strategies as st

from services.correlation.domain.identity.clusters import Verdict, clusters_of
from services.correlation.domain.identity.traits import Subject

SUBJECTS = [Subject(bytes([number]) * 16, "organization", f"Name {number}") for number in range(8)]
pairs = st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1])
verdicts = st.dictionaries(pairs, st.sampled_from(["accepted", "rejected"]))


def decided(said: dict[tuple[int, int], Verdict]) -> list[tuple[Subject, Subject, Verdict]]:
    return [(SUBJECTS[one], SUBJECTS[other], verdict) for (one, other), verdict in said.items()]


def reached(said: dict[tuple[int, int], Verdict], start: int) -> set[int]:
    """What accepted pairs lead to, by walking."""
    seen, grew = {start}, True
    while grew:
        ends = {end for pair, verdict in said.items() if verdict == "accepted" and set(pair) & seen for end in pair}
        grew = not ends <= seen
        seen |= ends
    return seen


@given(verdicts)
def test_a_cluster_is_all_that_accepted_pairs_lead_to(said: dict[tuple[int, int], Verdict]) -> None:
    found = {frozenset(member.id[0] for member in cluster.members) for cluster in clusters_of(decided(said))}
    assert found == {frozenset(together) for start in range(8) if len(together := reached(said, start)) > 1}


@given(verdicts, st.randoms(use_true_random=False))
def test_order_does_not_matter(said: dict[tuple[int, int], Verdict], random: object) -> None:
    turned = decided(said)
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert clusters_of([(other, one, verdict) for one, other, verdict in turned]) == clusters_of(decided(said))


@given(verdicts, pairs)
def test_a_pair_that_is_accepted_joins_its_two_and_parts_nobody(
    said: dict[tuple[int, int], Verdict], pair: tuple[int, int]
) -> None:
    merged = clusters_of(decided({**said, pair: "accepted"}))
    members = [set(cluster.members) for cluster in merged]
    assert any({SUBJECTS[pair[0]], SUBJECTS[pair[1]]} <= together for together in members)
    for cluster in clusters_of(decided({each: verdict for each, verdict in said.items() if each != pair})):
        assert any(set(cluster.members) <= together for together in members)


@given(verdicts)
def test_a_rejected_pair_within_a_cluster_is_told_and_no_other(said: dict[tuple[int, int], Verdict]) -> None:
    told = {conflict for cluster in clusters_of(decided(said)) for conflict in cluster.conflicts}
    assert told == {
        (SUBJECTS[one].id, SUBJECTS[other].id)
        for (one, other), verdict in said.items()
        if verdict == "rejected" and other in reached(said, one)
    }


def test_a_lasting_id_stands_for_an_organisation_before_any_name() -> None:
    lei = Subject(b"z" * 16, "organization", "lei:5493001KJTIIGC8Y1R12")
    (cluster,) = clusters_of([(SUBJECTS[0], lei, "accepted"), (SUBJECTS[1], SUBJECTS[0], "accepted")])
    assert cluster.representative == lei
