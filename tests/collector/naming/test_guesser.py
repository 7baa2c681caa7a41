"""What follows from the names of a zone, and how much of it is asked."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from services.collector.naming import Guesser
from services.collector.naming.sequences import next_numbers
from services.collector.naming.tokens import count_words, cut, is_noise, split
from tests.examples import examples

ZONE = "example.org"
labels = st.text("abcdevprodtest019-", min_size=1, max_size=12).map(lambda text: text.strip("-") or "x")
hosts = st.lists(labels, min_size=1, max_size=3).map(lambda parts: ".".join([*parts, ZONE]))


def follow(*labels: str, limit: int = 400) -> list[str]:
    names = [f"{label}.{ZONE}" for label in labels]
    return [name.removesuffix(f".{ZONE}") for name in Guesser(names, ZONE).guess(limit)]


def test_gaps_and_neighbours_of_numbers_come_first_and_keep_their_width() -> None:
    found = follow("web01", "web03", "www")
    assert found[0] == "web02"
    assert "web04" in found[:5]
    assert "web10" in found[:20]
    assert "web2" not in found[:50]


def test_a_pair_seen_with_some_names_is_expected_with_others() -> None:
    found = follow("api", "api-int", "billing", "billing-int", "portal")
    assert "portal-int" in found[:5]


def test_what_replaces_each_other_somewhere_does_so_elsewhere() -> None:
    found = follow("api-blau", "api-rot", "shop-blau", "shop-rot", "crm-blau")
    assert "crm-rot" in found[:5]


def test_environments_of_another_name_are_tried_in_the_same_place() -> None:
    found = follow("dev-mail", "billing-uat.eu")
    assert {"test-mail", "staging-mail"} <= set(found[:200])
    assert {"billing-dev.eu", "billing-qa.eu"} <= set(found[:200])


def test_levels_that_hold_the_same_hosts_are_filled_up() -> None:
    found = follow("api.emea", "crm.emea", "www.emea", "api.apac", "crm.apac")
    assert "www.apac" in found[:10]


def test_words_are_joined_otherwise_and_swapped() -> None:
    found = follow("api-payments")
    assert {"payments-api", "api.payments", "payments.api", "apipayments"} <= set(found)


def test_words_written_together_are_taken_apart() -> None:
    pieces = [split("payments"), split("paymentsdev"), split("k8s-eu-west-1a")]
    words = count_words(pieces)
    assert cut(pieces[1], words) == ["payments", "dev"]
    assert pieces[2] == ["k8s", "-eu", "-west", "-", "1", "a"] or pieces[2][0] == "k8s"


def test_single_letters_count_on() -> None:
    assert {"node-c", "node-d"} <= set(follow("node-a", "node-b")[:12])


def test_a_bare_name_gets_the_usual_variants_within_a_small_limit() -> None:
    usual = {"portal-dev", "dev-portal", "portal.dev", "dev.portal", "portal2", "portal-test", "portal-staging"}
    assert usual <= set(follow("portal", limit=60))


def test_known_and_asked_names_are_never_asked_again() -> None:
    names = [f"web0{number}.{ZONE}" for number in range(1, 6)]
    guesser = Guesser(names, ZONE)
    first, second = list(guesser.guess(50)), list(guesser.guess(50))
    assert not {*first} & {*second, *names}
    assert not {*second} & {*names}
    assert len(first) == len(set(first)) == 50


def test_what_was_found_is_learnt_from_in_the_next_round() -> None:
    names = [f"{label}.{ZONE}" for label in ("atlas", "bistro", "cinder", "dynamo", "ember", "fjord")]
    guesser = Guesser(names, ZONE)
    list(guesser.guess(100))
    guesser.tell([f"atlas-kiel.{ZONE}", f"bistro-kiel.{ZONE}"])
    assert f"cinder-kiel.{ZONE}" in list(guesser.guess(5))


def test_a_way_of_naming_that_brings_nothing_is_tried_later() -> None:
    names = [
        f"{label}.{ZONE}" for label in ("atlas", "bistro", "cinder", "dynamo", "ember", "fjord", "garnet", "helix")
    ]
    told, untold = Guesser(names, ZONE), Guesser(names, ZONE)
    first = list(told.guess(200))
    list(untold.guess(200))
    told.tell([name for name in first if name.endswith(f"-dev.{ZONE}")])
    untold.tell([])
    environments = (
        "-uat.",
        "-qa.",
        "-stage.",
        "-preprod.",
        "-int.",
        "-acc.",
        "-sandbox.",
        "-demo.",
        "-beta.",
        "-prod.",
    )
    assert first.index(f"atlas-dev.{ZONE}") < 200

    def place(guesser: Guesser) -> int:
        return sum(any(word in name for word in environments) for name in guesser.guess(60))

    assert place(told) >= place(untold)


def test_nothing_is_added_to_dead_names_that_teach_all_the_same() -> None:
    names = [f"{label}.{ZONE}" for label in ("old", "old-kiel", "new", "new-kiel", "live")]
    found = list(Guesser(names, ZONE, dead=[f"old.{ZONE}", f"old-kiel.{ZONE}"]).guess(400))
    assert f"live-kiel.{ZONE}" in found
    assert f"live-dev.{ZONE}" in found
    assert f"old-staging.{ZONE}" not in found[:200]


def test_where_fresh_names_are_given_only_what_follows_from_them_is() -> None:
    names = [f"{label}.{ZONE}" for label in ("old", "old-kiel", "web01", "web02", "new", "db07")]
    found = list(Guesser(names, ZONE, fresh=[f"new.{ZONE}", f"db07.{ZONE}"]).guess(2000))
    assert {f"new-kiel.{ZONE}", f"db08.{ZONE}", f"new-dev.{ZONE}"} <= set(found)
    assert not {f"old-dev.{ZONE}", f"web03.{ZONE}", f"dev-old.{ZONE}"} & set(found)


def test_the_order_is_the_same_in_another_process() -> None:
    names = [f"{label}.{ZONE}" for label in ("api", "api-dev", "eu-web01", "web02", "crm.eu", "a.b.c", "portal-qa")]
    code = (
        "from services.collector.naming import Guesser\n"
        f"guesser = Guesser({names!r}, {ZONE!r})\n"
        "print('\\n'.join(guesser.guess(2000)))\n"
        f"guesser.tell(['portal-dev.{ZONE}', 'web03.{ZONE}'])\n"
        "print('\\n'.join(guesser.guess(2000)))\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}, text=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0].count("\n") == 4000
    assert said[0] == said[1]


def test_names_that_machines_made_teach_nothing() -> None:
    assert is_noise("d41d8cd98f00b204e980")
    assert is_noise("ip-10-0-0-17")
    assert is_noise("host-198-51-100-7")
    assert not is_noise("web01-dev.eu")
    assert follow("d41d8cd98f00b204e980", "ip-10-0-0-17") == []


def test_no_names_give_no_candidates() -> None:
    assert follow() == []
    assert list(Guesser([ZONE, "www.example.net"], ZONE).guess(10)) == []


@examples(30)
@given(st.lists(hosts, max_size=30))
def test_every_candidate_is_a_new_name_that_can_exist(names: list[str]) -> None:
    found = list(Guesser(names, ZONE).guess(300))
    assert len(found) == len(set(found))
    assert not set(found) & set(names)
    for name in found:
        assert name.endswith(f".{ZONE}")
        assert len(name) <= 253
        for label in name.split("."):
            assert 0 < len(label) <= 63
            assert label[0] not in "-_"
            assert label[-1] not in "-_"


@given(st.sets(st.integers(0, 3000), min_size=1, max_size=30))
def test_next_numbers_are_new_and_likelier_between_than_beyond(numbers: set[int]) -> None:
    known = sorted(numbers)
    chances = next_numbers(known)
    assert not set(chances) & numbers
    assert all(0 < chance < 1 and number >= 0 for number, chance in chances.items())
    assert len(chances) < 60 + 4 * len(known) + 8 + 6 * len(known)


def test_many_names_are_learnt_from_in_bounded_work() -> None:
    names = [f"{word}{number}.{ZONE}" for word in ("app", "db", "web", "cache") for number in range(4000)]
    assert len(list(Guesser(names, ZONE).guess(1000))) == 1000
