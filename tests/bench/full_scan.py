"""Whole scans of a domain with 2,000 names: passive, DNS, brute force of 5,000 words, active work; without and with
permutations. Zone transfer and NSEC are refused.

Names are counted on ``export --format hosts`` against the lab's truth: every name of the target that resolves counts,
whichever way leads to it. The lab runs on the other core. Every seed is scanned once; figures are the worst of them.

One source is left out of these scans, and is in one of its own: InternetDB is asked for each address and wants one
request a second, so that its 800 questions last as long as they last, whatever asks them.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.laboratory import Laboratory, laboratory
from tests.bench.scanning import Scanned, scan

HOSTS: Final = 2_000
PACED: Final = ("--exclude", "internetdb")
#: The modules whose addresses come from the resolvers.
RESOLVING: Final = frozenset({"brute", "dns_records", "permutations", "reverse_dns", "zone_transfer"})
CLASSES: Final = {
    "target": "the target",
    "passive": "passive",
    "brute": "brute force",
    "deeper": "deeper",
    "permutation": "permutation",
    "certificate": "certificate",
    "page": "page",
    "header": "header",
    "record": "record",
    "below_wildcard": "below a wildcard",
}


class Variant(Struct, frozen=True):
    """A row of the design: what is left out, and the bars for seconds, MB and recall."""

    title: str
    exclude: tuple[str, ...]
    seconds: float
    memory: float
    recall: float


WITHOUT: Final = Variant("without permutations", ("--exclude", "permutations"), 30, 200, 0.90)
WITH: Final = Variant("with permutations", (), 60, 250, 0.97)


class Found(Struct, frozen=True):
    """What a scan found of one world. ``wrong``: reported names that are none, by what they are."""

    seed: int
    wall: float
    cpu: float
    peak: float
    last_name: float
    found: dict[str, int]
    there: dict[str, int]
    wrong: dict[str, int]
    requests: int
    claims: int
    state: str

    @property
    def recall(self) -> float:
        return self.found["all"] / self.there["all"]


def run(options: Options) -> list[Figure]:
    runs: dict[str, list[Found]] = defaultdict(list)
    every: Found | None = None
    for seed in options.seeds:
        with laboratory(hosts=HOSTS, seed=seed) as lab:
            for variant in (WITHOUT, WITH):
                runs[variant.title].append(one(lab, seed, *variant.exclude, *PACED))
    if options.runs > 1:
        with laboratory(hosts=HOSTS, seed=options.seeds[0]) as lab:
            every = one(lab, options.seeds[0], *WITHOUT.exclude)
    figures = [figure for variant in (WITHOUT, WITH) for figure in figures_of(variant, runs[variant.title])]
    if every is not None:
        beside = f"the last of its names was known after {every.last_name:.0f} s"
        figures.append(Figure(what="without permutations, with InternetDB", value=every.wall, unit="s", beside=beside))
    return figures


def one(lab: Laboratory, seed: int, *exclude: str) -> Found:
    arguments = (lab.target, "--profile", "deep", "--authorised", "benchmark", "--wordlist", str(lab.words))
    with scan(lab, *arguments, *exclude) as scanned:
        return judge(scanned, seed)


def judge(scanned: Scanned, seed: int) -> Found:
    """Compare what a scan reports with the truth."""
    truth = scanned.lab.truth
    reported = set(scanned.export("hosts").split())
    there: dict[str, int] = defaultdict(int)
    found: dict[str, int] = defaultdict(int)
    real: set[str] = set()
    for name in truth["names"]:
        if name["resolves"]:
            real.add(name["name"])
            for kind in ("all", name["kind"], *(("below_wildcard",) if name["below_wildcard"] else ())):
                there[kind] += 1
                found[kind] += name["name"] in reported
    sources = scanned.scan["sources"]
    return Found(
        seed=seed,
        wall=scanned.used.wall,
        cpu=scanned.used.cpu,
        peak=scanned.used.peak,
        last_name=last_name(scanned.export("jsonl").splitlines(), reported, scanned.scan["started"]),
        found=found,
        there=there,
        wrong=wrong(reported - real, truth),
        requests=sum(source["requests"] for source in sources),
        claims=sum(source["claims"] for source in sources),
        state=scanned.scan["state"],
    )


def wrong(names: Collection[str], truth: Mapping[str, Any]) -> dict[str, int]:
    """What reported names are that are no hosts of the target."""
    stale = {name["name"] for name in (*truth["stale"], *truth["dangling"])}
    below = tuple(wildcard["owner"].removeprefix("*") for wildcard in truth["wildcards"])
    counts = dict.fromkeys(("stale", "wildcard", "unknown"), 0)
    for name in names:
        counts["stale" if name in stale else "wildcard" if name.endswith(below) else "unknown"] += 1
    return counts


def last_name(lines: Iterable[str], reported: Collection[str], started: int) -> float:
    """Seconds after which each reported name had an address from the resolvers."""
    known: dict[str, int] = {}
    for line in lines:
        if '"type":"resolves_to"' not in line:
            continue
        relation = json.loads(line)
        name = relation["source"]["value"]
        at = [said["at"] for said in relation["assertions"] if said["module"] in RESOLVING]
        if name in reported and at:
            known[name] = min(known.get(name, min(at)), *at)
    return (max(known.values()) - started) / 1e6 if known else 0.0


def figures_of(variant: Variant, runs: Sequence[Found]) -> list[Figure]:
    title = variant.title

    def worst(
        what: str, unit: str, value: Callable[[Found], float], bar: float, beside: str = "", *, at_most: bool
    ) -> Figure:
        values = [value(each) for each in runs]
        return Figure(
            what=f"{title}: {what}",
            value=max(values) if at_most else min(values),
            unit=unit,
            bar=bar,
            at_most=at_most,
            spread=span(values),
            beside=beside,
        )

    middles = [middle(values) for values in zip(*((r.wall, r.cpu, r.requests, r.claims) for r in runs), strict=True)]
    beside = "median {:.1f} s, cpu {:.1f} s; {:,.0f} requests, {:,.0f} claims".format(*middles)
    beside += "".join(f"; seed {each.seed} ended {each.state}" for each in runs if each.state != "finished")
    last = max(each.last_name for each in runs)
    figures = [
        worst("time", "s", lambda each: each.wall, variant.seconds, beside, at_most=True),
        Figure(what=f"{title}: last name known", value=last, unit="s"),
        worst("memory", "MB", lambda each: each.peak, variant.memory, at_most=True),
        worst("recall", "", lambda each: each.recall, variant.recall, at_most=False),
    ]
    for kind, name in CLASSES.items():
        shares = [each.found[kind] / each.there[kind] for each in runs if each.there.get(kind)]
        if shares:
            there = sum(each.there[kind] for each in runs)
            missed = there - sum(each.found[kind] for each in runs)
            beside = f"{missed} of {there:,} missed"
            figures.append(
                Figure(what=f"{title}: recall, {name}", value=min(shares), spread=span(shares), beside=beside)
            )
    for kind in ("stale", "wildcard", "unknown"):
        counts = [float(each.wrong[kind]) for each in runs]
        figures.append(Figure(what=f"{title}: false, {kind}", value=max(counts), spread=span(counts)))
    return figures


BENCH = Bench(
    "full_scan",
    "2,000 names: ≤ 30 s, ≤ 200 MB, recall ≥ 0.90 without permutations; ≤ 60 s, ≤ 250 MB, recall ≥ 0.97 with them.",
    run,
)
