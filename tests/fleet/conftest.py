"""A folder for a fleet; whatever runs in it ends with the test, and with the test run."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from services.cli.fleet import leftovers
from tests.fleet.running import Fleet
from tests.proof.processes import DEEP, SLOW, Lab, Mirage, excluding, started_lab, steady
from tests.servers.cluster import keep
from tests.servers.plugin import require
from tests.servers.running import Stable

#: What a fleet needs, and what it scans: small enough for a few minutes, large enough for every kind of work item.
SERVERS = ("consul", "nomad", "nats", "postgresql", "mongodb", "elasticsearch", "redis", "neo4j")
HOSTS, SEED, WORDS = 80, 7, 1500


#: What lists all findings of the last scan.
FINDINGS = ("findings", "last", "--all", "--format", "json")


def found(listed: str) -> set[tuple[str, str]]:
    """Findings as they are listed: which they are, and what they say."""
    return {(each["id"], each["title"]) for each in json.loads(listed)["findings"]}


class Undisturbed(NamedTuple):
    """What an embedded scan claims, how often it asked the resolver what, and what is found by rules."""

    claims: list[str]
    questions: Counter[tuple[str, str]]
    findings: set[tuple[str, str]]


@pytest.fixture
def folder(stable: Stable) -> Iterator[Path]:
    require("nomad")
    with kept_folder(stable) as made:
        yield made


@contextmanager
def kept_folder(stable: Stable) -> Iterator[Path]:
    """Others may pass through to it, as PostgreSQL's user has to: pytest's own folders let nobody in."""
    made = stable.folder / f"fleet-{uuid4().hex[:8]}"
    made.mkdir()
    keep(stable.folder / "fifo", made, made.with_suffix(".log"))
    try:
        yield made
    finally:
        leftovers.end(made, grace=0)
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """What the fleet can reach; ``words.txt`` beside its folder are for brute force."""
    place = tmp_path_factory.mktemp("lab")
    words = ("--wordlist", str(place / "words.txt"), "--words", str(WORDS))
    with started_lab(place / "lab", *words, hosts=HOSTS, seed=SEED) as started:
        yield started


@pytest.fixture(scope="session")
def how(lab: Lab) -> tuple[str, ...]:
    """The arguments of a scan whose claims do not depend on who asked first."""
    words = str(lab.folder.parent / "words.txt")
    return (*DEEP, *excluding(*SLOW), *steady(lab), "--wordlist", words)


@pytest.fixture(scope="session")
def undisturbed(lab: Lab, how: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """That scan where one process does it all."""
    mirage = Mirage(tmp_path_factory.mktemp("embedded") / "data", lab)
    lab.reset()
    mirage.scan(*how)
    asked = lab.questions()
    return Undisturbed(mirage.canonical(), asked, found(mirage.output(*FINDINGS)))


@pytest.fixture(scope="session")
def one_fleet(stable: Stable, lab: Lab) -> Iterator[Fleet]:
    for kind in SERVERS:
        require(kind)
    with kept_folder(stable) as folder:
        yield Fleet(folder, lab)


@pytest.fixture(scope="module")
def fleet(one_fleet: Fleet) -> Fleet:
    """One fleet for all tests that need one, who leave it well; the last of a file may end it."""
    if not all(one_fleet.deployment.agents.running().values()):
        one_fleet.up()
    return one_fleet
