"""The sources about hosts and people, asked in the lab: what the world knows is what is claimed."""

import asyncio

from lab.running import Lab
from services.collector.item.run import Result
from services.contracts import entities
from services.contracts.claims import Absence, Attribute
from tests.collector.modules.wired import Wire, related


def said_of(result: Result, name: str) -> list[object]:
    return [claim.value for claim, _ in result.said if isinstance(claim, Attribute) and claim.name == name]


async def test_internetdb_knows_ports_and_names_of_addresses_that_it_scanned(lab: Lab, wire: Wire) -> None:
    known = next(address for address in lab.world.addresses if address.ports and address.known_hosts)
    result = await wire.run("internetdb", entities.ip_address(known.ip))
    ports = {relation.target.key[2] for relation in related(result, "exposes")}
    assert ports == {str(port.number) for port in known.ports}
    assert set(known.known_hosts) <= {relation.source.value for relation in related(result, "resolves_to")}
    assert (await wire.run("internetdb", entities.ip_address("192.0.2.254"))).outcome == "empty"


async def test_block_lists_have_the_addresses_that_the_world_lists(lab: Lab, wire: Wire) -> None:
    listed = next(address for address in lab.world.addresses if "zen.spamhaus.org" in address.listed)
    clean = next(address for address in lab.world.addresses if not address.listed)
    result, nothing = await asyncio.gather(
        wire.run("dnsbl", entities.ip_address(listed.ip)), wire.run("dnsbl", entities.ip_address(clean.ip))
    )
    assert "Spamhaus ZEN" in said_of(result, "listed_by")
    assert [claim.predicate for claim, _ in nothing.said if isinstance(claim, Absence)] == ["listed_by"]
    assert (await wire.run("dnsbl", entities.domain(lab.target))).outcome == "found"


async def test_people_are_known_to_the_sources_that_know_them(lab: Lab, wire: Wire) -> None:
    for person in lab.world.organisation.people:
        mail = entities.email_address(person.email)
        key, profile = await asyncio.gather(wire.run("openpgp", mail), wire.run("gravatar", mail))
        assert {one.target.value for one in related(key, "controls") if one.target.type == "crypto_key"} == (
            {f"pgp:{person.pgp}"} if person.pgp else set()
        )
        handles = {one.target.key[1] for one in related(profile, "controls") if one.target.key[0] == "gravatar"}
        assert handles == ({person.gravatar} if person.gravatar else set())
        if person.github:
            account = entities.account("github", person.github)
            user, organisation = await asyncio.gather(wire.run("github_user", account), wire.run("github_org", account))
            assert said_of(user, "display_name") == [person.name]
            assert organisation.outcome == "empty"


async def test_github_shows_the_organisation_with_repositories_and_members(lab: Lab, wire: Wire) -> None:
    organisation = lab.world.organisation
    result = await wire.run("github_org", entities.account("github", organisation.github))
    repositories = {one.target.key[1] for one in related(result, "controls") if one.target.type == "code_repository"}
    assert repositories == {f"{one.owner}/{one.name}" for one in organisation.repositories}
    members = {one.source.key[1] for one in related(result, "member_of")}
    assert members == {person.github for person in organisation.people if person.github}


async def test_a_tenant_is_found_for_its_domains_and_for_no_other(lab: Lab, wire: Wire) -> None:
    tenant = lab.world.organisation.tenant
    result = await wire.run("microsoft_tenant", entities.domain(lab.target))
    assert [one.target.key for one in related(result, "uses")] == [("microsoft", str(tenant.id))]
    assert said_of(result, "tenant_brand") == [tenant.brand]
    other = await wire.run("microsoft_tenant", entities.domain(lab.world.affiliates[0].domain))
    assert [claim.predicate for claim, _ in other.said if isinstance(claim, Absence)] == ["uses"]


async def test_numbers_and_addresses_are_read_without_asking_anybody(lab: Lab, wire: Wire) -> None:
    organisation = lab.world.organisation
    for phone in organisation.phones:
        result = await wire.run("phone", entities.phone_number(phone))
        assert said_of(result, "country") == ["GB"]
        assert result.requests == 0
    for chain, address in organisation.crypto_addresses:
        result = await wire.run("crypto", entities.crypto_address(chain, address))
        assert said_of(result, "valid") == [True]
        assert result.requests == 0
