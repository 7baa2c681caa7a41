import re
from collections import Counter
from ipaddress import ip_address, ip_network

import msgspec
import pytest

from lab.generate import generate
from lab.generate.names import SHARES, SOURCES
from lab.generate.naming import RARITIES, vocabulary
from lab.wordlist import make_wordlist
from lab.world import World

ALLOWED = [
    ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def large() -> World:
    return generate(2000, 1)


def test_the_same_size_and_seed_make_the_same_world() -> None:
    assert msgspec.json.encode(generate(150, 7)) == msgspec.json.encode(generate(150, 7))
    assert make_wordlist(generate(150, 7)) == make_wordlist(generate(150, 7))


def test_another_seed_makes_another_world() -> None:
    names = [{host.name for host in generate(300, seed).hosts if host.kind != "target"} for seed in (1, 2)]
    assert len(names[0] & names[1]) < 150


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("size", [60, 2000])
def test_every_kind_of_name_has_its_share(size: int, seed: int) -> None:
    world = generate(size, seed)
    kinds = Counter(host.kind for host in world.hosts)
    assert len(world.hosts) == len({host.name for host in world.hosts}) == size
    assert kinds["permutation"] >= 0.05 * size
    for kind in ("certificate", "page", "header", "record", "deeper"):
        assert kinds[kind] >= 0.03 * size
    assert kinds["brute"] >= 0.1 * size
    assert kinds["passive"] >= 0.35 * size
    assert set(SHARES) < set(kinds)


def test_a_fifth_of_the_permuted_names_is_of_forms_that_nobody_guesses(large: World) -> None:
    permuted = [way.detail for host in large.hosts for way in host.ways if way.kind == "permutation"]
    rare = [form for form in permuted if form in RARITIES]
    assert len(rare) == pytest.approx(len(permuted) / 5, abs=1)
    assert len(set(permuted) - set(RARITIES)) >= 7


def test_only_a_permuted_name_has_no_other_way(large: World) -> None:
    words = set(make_wordlist(large))
    for host in large.hosts:
        if host.kind == "permutation":
            assert not host.known_to
            assert host.name.removesuffix("." + large.domain).split(".")[0] not in words or "." in host.name
            base = large.host(host.ways[0].by)
            assert base is not None
            assert base.kind in ("passive", "brute")


def test_a_name_of_one_kind_is_found_in_no_other_way(large: World) -> None:
    words, listed = (
        set(make_wordlist(large)),
        {name for source in SOURCES for name in large.known_names(source, large.domain)},
    )
    for host in large.hosts:
        label = host.name.split(".")[0]
        kinds = {way.kind for way in host.ways}
        if host.kind in ("certificate", "page", "header", "record"):
            assert kinds == {host.kind}
            assert label not in words
        if host.kind not in ("target", "passive"):
            assert not host.known_to
            assert host.name not in listed
        if host.kind in ("brute", "deeper"):
            assert label in words
            assert kinds == {host.kind}


def test_every_level_that_brute_force_must_enter_is_shown_by_a_listed_name(large: World) -> None:
    levels = {way.detail for host in large.hosts for way in host.ways if way.kind == "deeper"}
    assert len(levels) >= 10
    for level in levels:
        assert any(host.kind == "passive" and host.name.endswith("." + level) for host in large.hosts)


def test_every_source_alone_knows_some_name(large: World) -> None:
    alone = Counter(next(iter(host.known_to)) for host in large.hosts if len(host.known_to) == 1)
    assert set(alone) >= set(SOURCES)
    assert set(Counter(next(iter(h.known_to)) for h in generate(60, 1).hosts if len(h.known_to) == 1)) == set(SOURCES)


def test_the_logs_hold_exactly_what_their_readers_know(large: World) -> None:
    for source in ("crtsh", "certspotter"):
        logged = {name for entry in large.logged if source in entry.sources for name in entry.names}
        plain = {name for name in logged if not name.startswith("*.")}
        assert plain == set(large.known_names(source, large.domain))
        assert logged - plain == {wildcard.owner for wildcard in large.wildcards}


def test_what_only_seems_to_exist_is_there_too(large: World) -> None:
    names = {host.name for host in large.hosts}
    stale = {stale.name for stale in large.stale}
    members = {member for wildcard in large.wildcards for member in wildcard.members}
    assert len(stale) >= 200
    assert {stale.answer for stale in large.stale} == {"nxdomain", "nodata", "servfail"}
    assert len(members) >= 10
    assert not names & (stale | members)
    assert len(large.wildcards) >= 4
    assert {bool(wildcard.cname) for wildcard in large.wildcards} == {True, False}
    assert sum(host.below_wildcard is not None for host in large.hosts) >= 10
    assert len(large.strangers) >= 30
    assert large.dangling


def test_a_host_below_a_wildcard_answers_differently(large: World) -> None:
    pools = {wildcard.owner: set(wildcard.addresses) for wildcard in large.wildcards}
    for host in large.hosts:
        if host.below_wildcard:
            assert not set(host.addresses) & pools[host.below_wildcard]


def test_strangers_share_addresses_with_the_target_and_are_not_its_own(large: World) -> None:
    shared = {ip for host in large.hosts for ip in host.addresses}
    assert sum(stranger.address in shared for stranger in large.strangers) >= 10
    assert not any(stranger.name.endswith(large.domain) for stranger in large.strangers)


def test_third_parties_are_told_only_what_is_public(large: World) -> None:
    hidden = {host.name for host in large.hosts if host.kind not in ("target", "passive")}
    for address in large.addresses:
        assert not hidden & set(address.known_hosts)


@pytest.mark.parametrize("size", [60, 2000])
def test_only_addresses_that_nobody_owns_are_used(size: int) -> None:
    world = generate(size, 3)
    for address in world.addresses:
        assert any(ip_address(address.ip) in network for network in ALLOWED)
        assert world.netblock(address.ip)
    for host in world.hosts:
        assert host.addresses
        assert all(world.address(ip) for ip in host.addresses)


def test_the_word_list_has_its_size_and_mixes_in_words_that_reveal_nothing(large: World) -> None:
    words = make_wordlist(large)
    assert len(words) == len(set(words)) == 5000
    assert set(large.words) <= set(words)
    assert all(re.fullmatch(r"[a-z0-9-]+", word) for word in words)
    assert len(set(vocabulary())) > 2000


def test_too_small_a_world_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        generate(20, 1)
