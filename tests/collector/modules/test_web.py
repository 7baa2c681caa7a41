import asyncio
import time

import pytest

from lab.faults import Fault, Kind
from lab.running import Lab
from lab.world import Way
from services.contracts import entities
from services.contracts.claims import Attribute
from tests.collector.modules.wired import Wire, named, related

BY_PATH = {"/sitemap.xml": "well_known", "/robots.txt": "well_known", "/about": "crawl"}


async def test_every_name_that_only_a_page_or_a_header_shows_is_found_there(lab: Lab, wire: Wire) -> None:
    ways = [(host.name, way) for host in lab.world.hosts for way in host.ways if way.kind in {"page", "header"}]
    assert {way.kind for _, way in ways} == {"page", "header"}

    async def finds(name: str, way: Way) -> bool:
        module = BY_PATH.get(way.detail, "web")
        subject = entities.url(f"https://{way.by}/") if module == "crawl" else entities.name(way.by)
        return name in named(await wire.run(module, subject))

    found = await asyncio.gather(*(finds(name, way) for name, way in ways))
    assert [way for way, is_found in zip(ways, found, strict=True) if not is_found] == []


async def test_a_site_is_described_as_it_is(lab: Lab, wire: Wire) -> None:
    host = lab.world.host(f"www.{lab.target}")
    assert host is not None
    assert host.site is not None
    result = await wire.run("web", entities.name(host.name))
    root = entities.url(f"https://{host.name}/")
    said = {
        (claim.name, claim.value) for claim, _ in result.said if isinstance(claim, Attribute) and claim.about == root
    }
    assert ("title", host.site.title) in said
    assert ("http_status", 200) in said
    used = {relation.target.key for relation in related(result, "uses")}
    assert {(kind, account) for kind, account in host.site.trackers} <= used
    technologies = {relation.target.key[1] for relation in related(result, "runs")}
    assert {technology.version for technology in host.site.technologies if technology.version} <= technologies
    assert {str(relation.source.key[0]) for relation in related(result, "exposes")} == set(host.addresses[:1])
    mentioned = {relation.target.value for relation in related(result, "mentions")}
    assert set(host.site.pages[0].emails) | set(host.site.pages[0].phones) <= mentioned
    assert all(ids for _, ids in result.said), "every claim has evidence"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("redirect_loop", "found"),
        ("redirect_private", "found"),
        ("redirect_elsewhere", "found"),
        ("server_error", "found"),
        ("empty_body", "found"),
        ("gzip_bomb", "found"),
        ("endless_body", "found"),
        ("tls_expired", "found"),
        ("tls_self_signed", "found"),
        ("truncated_body", "unreachable"),
        ("endless_headers", "unreachable"),
        ("garbage", "unreachable"),
        ("reset", "unreachable"),
        ("tls_handshake_failure", "unreachable"),
    ],
)
async def test_whatever_a_site_does_has_an_outcome_and_an_end(lab: Lab, wire: Wire, kind: Kind, outcome: str) -> None:
    name = f"www.{lab.target}"
    lab.faults.set(name, Fault(kind=kind, size=1 << 26))
    started = time.process_time()
    result = await wire.run("web", entities.name(name))
    assert (result.outcome, time.process_time() - started < 10.0) == (outcome, True), result.reason
    assert lab.touched() < 40


@pytest.mark.parametrize("module", ["web", "well_known", "tls_certificate"])
async def test_a_name_without_an_address_is_empty_and_one_that_nobody_can_look_up_is_not(
    lab: Lab, wire: Wire, module: str
) -> None:
    gone = next(name.name for name in lab.world.stale if name.answer == "nxdomain")
    assert (await wire.run(module, entities.name(gone))).outcome == "empty"
    lab.faults.set("resolver", Fault(kind="dns_servfail"))
    result = await wire.run(module, entities.name(f"www.{lab.target}"))
    assert (result.outcome, "cannot say where" in result.reason) == ("unreachable", True)
    assert lab.touched() == 0
