"""What the DNS modules make of the lab's zones: what is there, what is not, and what nobody can say."""

import asyncio

from lab.running import Lab
from services.collector.item.run import Result
from services.contracts import entities, relations
from services.contracts.claims import Absence, Attribute, Entity
from services.contracts.subjects import Level, Names
from tests.collector.modules.wired import Wire, named, related

IN_RECORDS = ("dns_records", "mail_setup", "srv")


def attributes(result: Result) -> dict[str, object]:
    return {claim.name: claim.value for claim, _ in result.said if isinstance(claim, Attribute)}


def lacks(result: Result) -> set[str]:
    return {claim.predicate for claim, _ in result.said if isinstance(claim, Absence)}


def levels_of(lab: Lab) -> list[str]:
    """Names between hosts and the target's domain."""
    above = {host.name.partition(".")[2] for host in lab.world.hosts if host.name.endswith(f".{lab.target}")}
    return sorted(name for name in above if name != lab.target and name.endswith(f".{lab.target}"))


async def run_all(wire: Wire, module: str, subjects: list[Entity]) -> list[Result]:
    return await asyncio.gather(*(wire.run(module, subject) for subject in subjects))


async def test_every_host_has_the_addresses_it_has(lab: Lab, wire: Wire) -> None:
    hosts = [host for host in lab.world.hosts if host.addresses]
    results = await run_all(wire, "dns_records", [entities.name(host.name) for host in hosts])
    for host, result in zip(hosts, results, strict=True):
        found = {relation.target.value for relation in related(result, "resolves_to")}
        assert found <= set(host.addresses), host.name
        assert found, host.name
        assert "covered_by_wildcard" not in attributes(result), host.name


async def test_a_stale_name_is_absent_and_one_that_fails_is_unknown(lab: Lab, wire: Wire) -> None:
    results = await run_all(wire, "dns_records", [entities.name(stale.name) for stale in lab.world.stale])
    for stale, result in zip(lab.world.stale, results, strict=True):
        assert not related(result, "resolves_to"), stale.name
        if stale.answer == "servfail":
            assert result.outcome == "unreachable", stale.name
            assert not lacks(result), stale.name
        else:
            assert lacks(result) == {"resolves_to"}, stale.name


async def test_members_of_a_wildcard_are_called_so_and_have_no_address(lab: Lab, wire: Wire) -> None:
    members = [member for wildcard in lab.world.wildcards for member in wildcard.members]
    assert members
    for member, result in zip(
        members, await run_all(wire, "dns_records", [entities.name(member) for member in members]), strict=True
    ):
        assert attributes(result) == {"covered_by_wildcard": True}, member
        assert not related(result, "resolves_to"), member


async def test_names_that_only_records_show_are_found_in_them(lab: Lab, wire: Wire) -> None:
    subjects = [entities.domain(domain) for domain in lab.world.organisation.domains]
    results = [result for module in IN_RECORDS for result in await run_all(wire, module, subjects)]
    cuts = [zone.name for zone in lab.world.zones if zone.name.endswith(f".{lab.target}")]
    others = [host.name for host in lab.world.hosts if host.kind != "record"]
    results += await run_all(wire, "dns_records", [entities.name(name) for name in (*cuts, *others)])
    results += await asyncio.gather(*(wire.run("srv", Level(name)) for name in levels_of(lab)))
    found = set().union(*map(named, results))
    reversed_ = [entities.ip_address(address.ip) for address in lab.world.addresses if address.ptr]
    found |= set().union(*map(named, await run_all(wire, "reverse_dns", reversed_)))
    only_there = {host.name for host in lab.world.hosts if host.kind == "record"}
    assert only_there
    assert only_there <= found


async def test_dangling_aliases_are_told_from_sound_ones(lab: Lab, wire: Wire) -> None:
    dangling = {one.name: one.target for one in lab.world.dangling}
    aliased = {host.name: host.cname for host in lab.world.hosts if host.cname}
    assert dangling
    for name, target in {**dangling, **aliased}.items():
        result = await wire.run("takeover", relations.alias_of(entities.name(name), entities.name(target)))
        assert attributes(result).get("dangling_alias", False) == (name in dangling), name


async def test_reverse_names_are_confirmed_when_they_lead_back(lab: Lab, wire: Wire) -> None:
    for address in lab.world.addresses:
        result = await wire.run("reverse_dns", entities.ip_address(address.ip))
        names = {relation.target.value for relation in related(result, "reverse_resolves_to")}
        assert names == ({address.ptr} if address.ptr else set())
        if address.ptr in address.hosts:
            assert attributes(result)["forward_confirmed"] is True, address.ip


async def test_words_are_found_at_each_level_and_wildcards_give_nothing(lab: Lab, wire: Wire) -> None:
    words = ("www", *lab.world.words, "no-such-name-at-all")
    zones = [entities.domain(lab.target), *map(Level, levels_of(lab))]
    results = await asyncio.gather(*(wire.run("brute", zone, words) for zone in zones))
    found = {relation.source.value for result in results for relation in related(result, "resolves_to")}
    by_words = {host.name for host in lab.world.hosts if host.kind == "brute"}
    assert by_words
    assert by_words <= found
    assert found <= {host.name for host in lab.world.hosts}


async def test_permutations_find_names_and_make_none_up(lab: Lab, wire: Wire) -> None:
    names = {host.name: host.kind for host in lab.world.hosts if host.name.endswith(f".{lab.target}")}
    known = tuple(sorted(name for name, kind in names.items() if kind != "permutation"))
    result = await wire.run("permutations", Names(lab.target, known))
    found = {relation.source.value for relation in related(result, "resolves_to")}
    assert not found - set(names)
    assert any(names[name] == "permutation" for name in found)
