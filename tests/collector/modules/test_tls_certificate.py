import asyncio

from lab.faults import Fault
from lab.running import Lab
from services.contracts import entities
from services.contracts.claims import Attribute
from tests.collector.modules.wired import Wire, named, related


async def test_each_host_keeps_exactly_the_certificate_that_it_presents(lab: Lab, wire: Wire) -> None:
    names = {certificate.id: certificate.names for certificate in lab.world.certificates}
    secure = [host for host in lab.world.hosts if host.site and host.site.certificate and host.addresses]
    results = await asyncio.gather(*(wire.run("tls_certificate", entities.name(host.name)) for host in secure))
    for host, result in zip(secure, results, strict=True):
        presented = related(result, "presents")
        assert {relation.source.key for relation in presented} == {(ip, "tcp", "443") for ip in host.addresses[:2]}
        assert {relation.qualifiers["sni"] for relation in presented} == {host.name}
        assert len({relation.target for relation in presented}) == 1
        covered = {
            ("*." if relation.qualifiers.get("wildcard") else "") + relation.target.value
            for relation in related(result, "covers_name")
        }
        assert host.site is not None
        assert covered == set(names[str(host.site.certificate)])


async def test_every_name_that_only_a_certificate_shows_is_found_there(lab: Lab, wire: Wire) -> None:
    ways = [(host.name, way.by) for host in lab.world.hosts for way in host.ways if way.kind == "certificate"]
    assert ways
    results = await asyncio.gather(*(wire.run("tls_certificate", entities.name(by)) for _, by in ways))
    assert [name for (name, _), result in zip(ways, results, strict=True) if name not in named(result)] == []


async def test_a_certificate_that_no_client_would_trust_is_kept_and_says_so(lab: Lab, wire: Wire) -> None:
    name = f"www.{lab.target}"
    for kind in ("tls_expired", "tls_self_signed", "tls_wrong_name"):
        lab.faults.set(name, Fault(kind=kind))
        result = await wire.run("tls_certificate", entities.name(name))
        errors = [claim for claim, _ in result.said if isinstance(claim, Attribute) and claim.name == "trust_error"]
        assert len(errors) == 1, kind
        assert (errors[0].about.type == "service") == (kind == "tls_wrong_name"), errors[0]
        assert related(result, "presents")
