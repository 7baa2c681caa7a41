"""What is found below a wildcard: its members are told from real hosts, however the wildcard answers."""

import random
from collections.abc import Callable, Sequence

import pytest

from services.collector.resolve import Answer, Record, Wildcards
from services.collector.resolve.wildcards import FUTILE_ROUNDS, MORE_PROBES, MOST_POOLED, Level

Give = Callable[[str, str], Sequence[str]]


def found(name: str, *data: str, kind: str = "A", alias: str = "") -> Answer:
    records = [Record(name, "CNAME", 300, alias)] if alias else []
    records += [Record(alias or name, kind, 300, each) for each in data]
    return Answer(name, kind, "found", 0, tuple(records))


class World:
    """Names and what they give; ``give`` makes the answer of every name that is none of ``hosts``."""

    def __init__(self, give: Callable[[str, str], Answer], hosts: Sequence[Answer] = ()) -> None:
        self.give = give
        self.hosts = {(host.name, host.type): host for host in hosts}
        self.asked: list[list[tuple[str, str]]] = []

    async def ask(self, pairs: Sequence[tuple[str, str]]) -> list[Answer]:
        self.asked.append(list(pairs))
        return [self.hosts.get(pair) or self.give(*pair) for pair in pairs]

    @property
    def probes(self) -> list[tuple[str, str]]:
        return [pair for pairs in self.asked for pair in pairs]


def nothing(name: str, kind: str) -> Answer:
    return Answer(name, kind, "nxdomain", 3)


def below(zone: str, make: Callable[[str, str], Answer]) -> Callable[[str, str], Answer]:
    return lambda name, kind: make(name, kind) if name.endswith("." + zone) else nothing(name, kind)


async def judged(world: World, *answers: Answer, salt: bytes = b"salt") -> list[bool]:
    wildcards = Wildcards(world.ask, salt)
    await wildcards.learn(answers)
    return [wildcards.is_member(answer.name, answer) for answer in answers]


async def test_without_a_wildcard_nothing_is_a_member_and_few_probes_say_so() -> None:
    world = World(nothing)
    assert await judged(world, found("www.example.org", "198.18.0.1")) == [False]
    assert len(world.probes) == 3


async def test_a_member_is_told_from_a_host_below_the_wildcard() -> None:
    world = World(below("example.org", lambda name, _: found(name, "198.18.0.9", "198.18.0.8")))
    assert await judged(
        world,
        found("any.example.org", "198.18.0.8", "198.18.0.9"),
        found("real.example.org", "198.18.0.1"),
        found("partly.example.org", "198.18.0.9", "198.18.0.1"),
    ) == [True, False, False]


async def test_the_closest_wildcard_counts() -> None:
    def give(name: str, kind: str) -> Answer:
        if name.endswith(".dev.example.org"):
            return found(name, "198.18.1.1")
        if name.endswith(".prod.example.org"):
            return nothing(name, kind)
        return found(name, "198.18.0.9")

    assert await judged(
        World(give),
        found("any.example.org", "198.18.0.9"),
        found("any.dev.example.org", "198.18.1.1"),
        found("real.dev.example.org", "198.18.0.9"),
        found("real.prod.example.org", "198.18.0.9"),
        found("any.thing.example.org", "198.18.0.9"),
    ) == [True, True, False, False, True]


async def test_each_type_has_its_own_wildcard() -> None:
    def give(name: str, kind: str) -> Answer:
        return found(name, "198.18.0.9") if kind == "A" else Answer(name, kind, "nodata", 0)

    assert await judged(
        World(give), found("any.example.org", "198.18.0.9"), found("real.example.org", "2001:db8::1", kind="AAAA")
    ) == [True, False]


async def test_an_alias_of_the_wildcard_is_a_member_whatever_its_addresses() -> None:
    world = World(lambda name, _: found(name, f"198.18.0.{random.randrange(250)}", alias="edge.example.net"))
    assert await judged(
        world,
        found("any.example.org", "203.0.113.5", alias="edge.example.net"),
        found("real.example.org", "198.18.0.9", alias="other.example.net"),
        found("plain.example.org", "198.18.0.9"),
        found("edge.example.org", "203.0.113.5", alias="edge.example.net"),
    ) == [True, False, False, True]
    assert len(world.probes) < 20


async def test_an_alias_that_repeats_the_name_is_a_member() -> None:
    def give(name: str, kind: str) -> Answer:
        return found(name, "198.18.0.9", alias=name.replace(".example.org", "-eu.edge.example.net"))

    world = World(give)
    assert await judged(
        world,
        give("any.example.org", "A"),
        found("real.example.org", "198.18.0.9", alias="other-eu.edge.example.net"),
    ) == [True, False]
    assert len(world.probes) < 20


async def test_an_alias_into_nothing_is_a_member_as_well() -> None:
    def give(name: str, kind: str) -> Answer:
        return Answer(name, kind, "nxdomain", 3, (Record(name, "CNAME", 300, "gone.example.net"),))

    assert await judged(
        World(give),
        give("any.example.org", "A"),
        Answer("real.example.org", "A", "nxdomain", 3, (Record("real.example.org", "CNAME", 300, "left.example.net"),)),
    ) == [True, False]


@pytest.mark.parametrize(("size", "shown"), [(4, 1), (12, 2), (20, 1), (30, 4), (8, 8)])
async def test_a_rotating_pool_is_learnt_until_it_brings_nothing_new(size: int, shown: int) -> None:
    chance = random.Random(size)
    pool = [f"198.18.{number}.{number}" for number in range(size)]

    def give(name: str, kind: str) -> Answer:
        return found(name, *chance.sample(pool, shown))

    world = World(give)
    members = [give(f"n{number}.example.org", "A") for number in range(200)]
    hosts = [found(f"real{number}.example.org", f"198.18.{number}.77") for number in range(20)]
    verdicts = await judged(world, *members, *hosts)
    assert all(verdicts[:200])
    assert not any(verdicts[200:])
    assert len(world.probes) <= 198


async def test_a_pool_too_large_to_learn_counts_by_its_networks() -> None:
    chance = random.Random(1)

    def give(name: str, kind: str) -> Answer:
        return found(name, f"198.18.7.{chance.randrange(256)}", f"198.18.8.{chance.randrange(256)}")

    world = World(give)
    members = [give(f"n{number}.example.org", "A") for number in range(300)]
    verdicts = await judged(world, *members, found("real.example.org", "198.18.9.1"))
    assert all(verdicts[:-1])
    assert not verdicts[-1]
    assert len(world.probes) <= 198


async def test_where_the_answers_are_anything_nothing_is_taken_for_a_host() -> None:
    chance = random.Random(2)

    def give(name: str, kind: str) -> Answer:
        return found(name, f"198.{chance.randrange(18, 20)}.{chance.randrange(256)}.{chance.randrange(256)}")

    world = World(give)
    members = [give(f"n{number}.example.org", "A") for number in range(300)]
    assert all(await judged(world, *members))
    assert len(world.probes) <= 198


async def test_probes_are_the_same_for_the_same_salt_and_no_other() -> None:
    def give(name: str, kind: str) -> Answer:
        return found(name, "198.18.0.9")

    answers = [found("any.example.org", "198.18.0.9"), found("any.dev.example.org", "198.18.0.9")]
    worlds = [World(give) for _ in range(3)]
    await judged(worlds[0], *answers)
    await judged(worlds[1], *reversed(answers))
    await judged(worlds[2], *answers, salt=b"other")
    assert worlds[0].asked == worlds[1].asked
    assert not set(worlds[0].probes) & set(worlds[2].probes)
    labels = [name.partition(".")[0] for name, _ in worlds[0].probes]
    assert len(set(labels)) == len(labels)
    assert all(label.isalnum() and len(label) == 16 for label in labels)


async def test_a_level_is_probed_once_and_alone() -> None:
    world = World(nothing)
    wildcards = Wildcards(world.ask, b"salt")
    for _ in range(2):
        await wildcards.learn(found(f"n{number}.dev{number % 3}.example.org", "198.18.0.1") for number in range(30))
    assert len(world.asked) == 3
    assert all(len({name.partition(".")[2] for name, _ in pairs}) == 1 for pairs in world.asked)


async def test_only_levels_where_something_was_found_are_probed() -> None:
    world = World(nothing)
    wildcards = Wildcards(world.ask, b"salt")
    await wildcards.learn([nothing("www.example.org", "A"), Answer("www.example.net", "A", "timeout")])
    assert not world.asked


async def test_the_registry_is_left_alone() -> None:
    world = World(lambda name, _: found(name, "198.18.0.9"))
    assert await judged(world, found("example", "198.18.0.9"), found("example.org", "198.18.0.9")) == [False, False]
    assert not world.asked


@pytest.mark.parametrize("status", ["timeout", "servfail", "refused", "broken"])
async def test_a_level_that_does_not_answer_is_unknown(status) -> None:
    world = World(lambda name, kind: Answer(name, kind, status))
    wildcards = Wildcards(world.ask, b"salt")
    answer = found("www.example.org", "198.18.0.1")
    await wildcards.learn([answer])
    assert wildcards.is_unknown("www.example.org")
    assert not wildcards.is_member("www.example.org", answer)
    assert len(world.probes) < 12


async def test_a_probe_that_is_lost_does_not_hide_the_wildcard() -> None:
    count = iter(range(1000))

    def give(name: str, kind: str) -> Answer:
        return found(name, "198.18.0.9") if next(count) % 3 == 2 else Answer(name, kind, "timeout")

    world = World(give)
    wildcards = Wildcards(world.ask, b"salt")
    answer = found("any.example.org", "198.18.0.9")
    await wildcards.learn([answer])
    assert wildcards.is_member("any.example.org", answer)
    assert not wildcards.is_unknown("any.example.org")


async def test_wildcards_are_found_through_the_resolver(nameserver, resolver) -> None:
    from tests.collector.resolve.nameserver import answer, nxdomain

    hosts = {"real.example.org": "198.18.0.1"}

    def behave(question):
        if question.name in hosts or question.name.endswith(".example.org"):
            return answer(question, f"{question.name} 300 A {hosts.get(question.name, '198.18.0.9')}")
        return nxdomain(question)

    resolve = resolver(await nameserver(behave))
    wildcards = Wildcards(resolve.ask_all, b"salt")
    answers = await resolve.ask_all([("real.example.org", "A"), ("other.example.org", "A"), ("www.example.net", "A")])
    await wildcards.learn(answers)
    assert [wildcards.is_member(each.name, each) for each in answers] == [False, True, False]


async def test_what_a_level_has_been_seen_to_give_is_kept_within_a_bound() -> None:
    count = 0

    def give(name: str, kind: str) -> Answer:
        nonlocal count
        count += 256
        return found(name, *(f"2001:db8:{count + number:x}::1" for number in range(256)), kind="AAAA")

    world = World(below("example.org", give))
    wildcards = Wildcards(world.ask, b"salt")
    real = found("www.example.org", "2001:db8::1", kind="AAAA")
    await wildcards.learn([real])
    (level,) = wildcards._levels.values()
    assert len(level.pool) < MOST_POOLED + 256
    assert len(world.probes) < 60  # as soon as it is full nothing more is asked
    assert wildcards.is_member(real.name, real)  # nothing can be told apart


def test_a_level_is_given_up_when_nobody_answers_several_times_in_a_row() -> None:
    level = Level("example.org", "A")
    for number in range(FUTILE_ROUNDS):
        level.take([Answer("x.example.org", "A", "timeout")] * MORE_PROBES)
        assert not level.known
        level.take([found("x.example.org", f"198.18.0.{number}")])
    for known in [False] * (FUTILE_ROUNDS - 1) + [True]:
        level.take([Answer("x.example.org", "A", "timeout")] * MORE_PROBES)
        assert level.known is known
