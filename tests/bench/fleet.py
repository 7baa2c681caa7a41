"""The fleet on two cores: a scan of 2,000 names beside the same scan embedded, and what services take and need.

All of it runs on the two cores that the embedded scan has for itself and its lab: six servers, seven services, the lab.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.request import Request, urlopen

from tests.bench.declaration import Bench, Figure, Options, Unable
from tests.bench.laboratory import Laboratory, laboratory
from tests.bench.processes import run as run_command
from tests.bench.processes_of_fleet import Fleet, ask, fleet
from tests.bench.scanning import MIRAGE, scan

HOSTS = 2_000
SCAN = ("--profile", "deep", "--authorised", "benchmark", "--exclude", "permutations", "--exclude", "internetdb")
#: Seconds that each request to a site takes where collectors are compared, and how many sites there are.
SLOW = 0.2
SITES = 1_200
#: Items that a collector works on at a time.
AT_ONCE = 4


def run(options: Options) -> list[Figure]:
    with laboratory(hosts=HOSTS, seed=options.seeds[0]) as lab:
        arguments = (lab.target, *SCAN, "--wordlist", str(lab.words))
        with scan(lab, *arguments) as embedded:
            alone = embedded.used.wall
        environment = {**lab.environment, "MIRAGE_RESOLVERS": lab.resolver}
        with fleet(environment) as begun:
            at_rest = {service.name: begun.memory(service.name) for service in begun.services}
            together = scan_by_fleet(begun, lab, arguments)
            served = started(begun)
    largest = max(at_rest, key=lambda name: at_rest[name])
    each = ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in at_rest.items())
    return [
        Figure(
            what="2,000 names in the fleet, storage caught up", value=together, unit="s", bar=3 * alone, at_most=True,
            bare=alone, beside="the bar is three times the embedded scan",
        ),
        Figure(what="a service at rest, the largest", value=at_rest[largest], unit="MB", bar=120, at_most=True,
               beside=f"PSS: {each}"),
        Figure(what="from the start of a process to well in Consul", value=served, unit="s", bar=3.0, at_most=True),
        *collectors(options),
    ]  # fmt: skip


def scan_by_fleet(begun: Fleet, lab: Laboratory, arguments: Sequence[str]) -> float:
    """Seconds until a scan has ended, storage has all of it and it was exported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = ask(
            begun, [*MIRAGE, "scan", *arguments, "--quiet", "--format", "jsonl", "--output", str(folder / "x")]
        )
        done = run_command(command, environment={"MIRAGE_TOKEN": begun.token}, folder=folder, watch=False)
        if done.code not in {0, 3}:
            raise Unable(f"the scan by the fleet ended with {done.code}: {done.errors.decode()[-300:]}")
    return done.wall


def started(begun: Fleet) -> float:
    """Seconds from the start of one more process to when Consul has it as well."""
    before = begun.well("configuration")
    began = time.monotonic()
    begun.add("configuration")
    begun.wait_for("configuration", before + 1)
    return time.monotonic() - began


def collectors(options: Options) -> list[Figure]:
    """How much faster four collectors are than one, where sites take 200 ms for each answer."""
    taken: dict[int, float] = {}
    for count in (1, 4):
        with laboratory(hosts=HOSTS, seed=options.seeds[0]) as lab, tempfile.TemporaryDirectory() as folder:
            sites = [name["name"] for name in lab.truth["names"] if name["web"] and name["resolves"]][:SITES]
            for site in sites:
                slow_down(lab, site)
            targets = Path(folder) / "targets"
            targets.write_text("".join(f"http://{site}/\n" for site in sites))
            environment = {**lab.environment, "MIRAGE_RESOLVERS": lab.resolver}
            with fleet(environment, collector=count) as begun:
                limit(begun)
                only = ("--profile", "deep", "--authorised", "benchmark", "--module", "crawl")
                taken[count] = scan_by_fleet(begun, lab, (str(targets), *only))
    return [
        Figure(
            what="four collectors beside one", value=taken[1] / taken[4], unit="×", bar=3.5,
            beside=f"{taken[1]:.1f} s and {taken[4]:.1f} s",
        )
    ]  # fmt: skip


def limit(begun: Fleet) -> None:
    """Let a collector work on few items at a time: it waits for sources then, not for the processor."""
    command = ask(begun, [*MIRAGE, "settings", "set", "collector", f"items_at_once={AT_ONCE}"])
    with tempfile.TemporaryDirectory() as folder:
        done = run_command(command, environment={"MIRAGE_TOKEN": begun.token}, folder=Path(folder), watch=False)
    if done.code:
        raise Unable(f"collectors could not be set: {done.errors.decode()[-300:]}")


def slow_down(lab: Laboratory, site: str) -> None:
    """Let each answer of a site take `SLOW` seconds."""
    fault = json.dumps({"kind": "slow", "seconds": SLOW}).encode()
    with urlopen(Request(f"{lab.control}/faults/{site}", data=fault, method="PUT"), timeout=10) as answer:
        answer.read()


BENCH = Bench(
    name="fleet",
    bar="a scan in the fleet takes three times the embedded one at most; collectors 1 → 4 ≥ 3.5 ×",
    run=run,
)
