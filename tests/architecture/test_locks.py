"""Locks are installed as they are, without a look at dependencies: what they lack is missing on a new machine."""

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-fleet.lock", "requirements-test.lock")


def locked(lock: str) -> dict[str, Requirement]:
    lines = re.findall(r"^([a-z0-9][^\\]*?) \\$", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(each.name): each for each in found if each.marker is None or each.marker.evaluate()}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_every_dependency_of_what_it_names_in_a_version_that_fits(lock: str) -> None:
    pinned = locked(lock)
    assert len(pinned) > 20
    open_requirements = [(name, "") for name in pinned]
    seen = set(open_requirements)
    missing = []
    for name, extra in open_requirements:
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
                continue
            there = pinned.get(canonicalize_name(needed.name))
            if there is None or not needed.specifier.contains(
                str(there.specifier).removeprefix("=="), prereleases=True
            ):
                missing.append(f"{name} needs {text}")
                continue
            further = {(canonicalize_name(needed.name), each) for each in needed.extras} - seen
            seen |= further
            open_requirements += further
    assert not missing


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert 0 < text.count("==") <= text.count("--hash=sha256:")


def test_the_fleet_and_the_tests_run_with_the_very_packages_that_mirage_runs_with() -> None:
    mirage, fleet, tests = (locked(lock) for lock in LOCKS)
    differing = {name for name, pinned in mirage.items() if str(pinned) != str(fleet.get(name))}
    differing |= {name for name, pinned in fleet.items() if str(pinned) != str(tests.get(name))}
    assert differing == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_is_locked_for_systems_that_mirage_does_not_run_on(lock: str) -> None:
    assert "win32" not in (ROOT / lock).read_text("utf-8")
