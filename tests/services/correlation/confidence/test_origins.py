"""The table of sources is that of the modules that there are."""

import pytest

from services.collector.manifest import Manifest, read_manifests
from services.correlation.domain.origins import ORIGINS, SHARED, SOURCES, UNKNOWN, source_of

MODULES = {file.manifest.id: file.manifest for file in read_manifests()}


def test_every_module_has_its_place_in_the_table_and_nothing_else_has() -> None:
    assert SOURCES.keys() == MODULES.keys()


@pytest.mark.parametrize("manifest", MODULES.values(), ids=lambda manifest: manifest.id)
def test_a_source_has_the_activity_of_its_module(manifest: Manifest) -> None:
    assert SOURCES[manifest.id].activity == manifest.activity


def test_an_origin_that_is_shared_says_why_and_one_that_says_why_is_shared() -> None:
    counts = {origin: sum(source.origin == origin for source in SOURCES.values()) for origin in ORIGINS}
    assert {origin for origin, modules in counts.items() if modules > 1} == SHARED.keys()
    assert {name for name, source in SOURCES.items() if source.origin not in SHARED and source.origin != name} == set()


def test_modules_that_ask_the_same_host_share_an_origin() -> None:
    origins: dict[str, set[str]] = {}
    for name, manifest in MODULES.items():
        for host in manifest.hosts:
            if "*" not in host:
                origins.setdefault(host, set()).add(SOURCES[name].origin)
    assert {host: found for host, found in origins.items() if len(found) > 1} == {}


def test_a_reliability_of_its_own_says_why() -> None:
    assert {name for name, source in SOURCES.items() if source.own is not None and not source.reason} == set()
    assert all(0 <= source.reliability <= 1 for source in SOURCES.values())


def test_a_module_that_nobody_knows_is_an_origin_of_its_own_in_the_middle() -> None:
    unknown = source_of("brought_along")
    assert (unknown.origin, unknown.reliability) == ("brought_along", UNKNOWN)
