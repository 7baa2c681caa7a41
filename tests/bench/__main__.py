"""``python -m tests.bench [NAME ...] [--runs 5] [--seeds 1,2,3,4,5] [--write]``: the benchmarks, one after the other.

Each runs in a process of its own. A benchmark is a module of this folder with a `Bench` called ``BENCH``.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import msgspec

from tests.bench import machine, results, table
from tests.bench.declaration import Bench, Figure, Options, Unable
from tests.bench.table import Measured

#: Small things first, scans last.
ORDER = (
    "start",
    "sql",
    "bus",
    "jetstream",
    "blobs",
    "postgres",
    "mongo",
    "cache",
    "directory",
    "calls",
    "gateway",
    "identities",
    "limits",
    "audit",
    "search",
    "graph",
    "visualization",
    "storage",
    "correlation",
    "confidence",
    "scans_intake",
    "reports",
    "exports",
    "pages_parse",
    "pages",
    "resolver",
    "full_scan",
    "fleet",
)
ROOT = Path(__file__).parents[2]


def main() -> int:
    options = arguments()
    names = options.names or list(ORDER)
    if options.figures:
        return measure(names[0], Options(options.runs, options.seeds), options.figures)
    found: list[Measured] = []
    for name in names:
        print(f"== {name}", file=sys.stderr, flush=True)
        found.append(measured_apart(name, Options(options.runs, options.seeds)))
        if options.write:
            results.write(found[-1:], ORDER)
    print(table.plain(found))
    print(f"\n{machine.describe()}; load average {machine.load():.1f}")
    return 1 if any(result.trouble for result in found) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure what the design promises.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ORDER)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="of each figure, which is their median (default 5)")
    parser.add_argument("--seeds", type=seeds, default=Options().seeds, help="of the lab's worlds (default 1,2,3,4,5)")
    parser.add_argument("--quick", action="store_true", help="one run, one seed")
    parser.add_argument("--write", action="store_true", help=f"write the figures into {results.FILE.name}")
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(ORDER))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    if options.quick:
        options.runs, options.seeds = 1, options.seeds[:1]
    return options


def seeds(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def measured_apart(name: str, options: Options) -> Measured:
    """Run a benchmark in a process of its own, so that none finds another's memory, threads or cores."""
    bench = load(name)
    before = machine.load()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "tests.bench", name, "--runs", str(options.runs), "--figures", str(file)]
        command += ["--seeds", ",".join(map(str, options.seeds))]
        started = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        print(f"   {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        if not file.exists():
            return Measured(name=bench.name, bar=bench.bar, trouble=f"it ended with {code}")
        brought = msgspec.json.decode(file.read_bytes(), type=list[Figure] | str)
    if isinstance(brought, str):
        return Measured(name=bench.name, bar=bench.bar, trouble=brought)
    return Measured(
        name=bench.name,
        bar=bench.bar,
        figures=tuple(brought),
        machine=machine.describe(),
        date=machine.today(),
        load=(before, machine.load()),
    )


def measure(name: str, options: Options, file: Path) -> int:
    """Run a benchmark in this process and leave its figures, or why there are none, in ``file``."""
    try:
        figures: Iterable[Figure] | str = load(name).run(options)
    except Unable as missing:
        figures = str(missing)
    file.write_bytes(msgspec.json.encode(figures))
    return 0


def load(name: str) -> Bench:
    bench = import_module(f"tests.bench.{name}").BENCH
    assert isinstance(bench, Bench)
    return bench


if __name__ == "__main__":
    raise SystemExit(main())
