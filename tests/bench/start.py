"""How long it takes from the start of the process to help, and to the result of the smallest scans, and in how much
memory. Each scan has a data folder of its own. The bare limit is an interpreter that starts, imports uvloop and ends.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span
from tests.bench.laboratory import laboratory
from tests.bench.processes import ROOT, Run, run

HELP, SCAN, MEMORY = 0.4, 1.0, 90.0
SHELL = (str(ROOT / "mirage"),)
MIRAGE = (sys.executable, "-P", "-m", "services")
BARE = (sys.executable, "-c", "import uvloop; uvloop.run(__import__('asyncio').sleep(0))")
#: An address whose checksum holds: the one in the first block of Bitcoin.
CRYPTO = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
#: From a range that is kept for drama.
PHONE = "+442079460123"


class Smallest(Struct, frozen=True):
    """A scan that asks as little as can be."""

    what: str
    arguments: tuple[str, ...]
    says: str


OFFLINE = (
    Smallest("scan of a crypto address", (CRYPTO, "--module", "crypto", "--format", "jsonl"), CRYPTO),
    Smallest("scan of a phone number", (PHONE, "--module", "phone", "--format", "jsonl"), PHONE),
)


def benchmark(options: Options) -> list[Figure]:
    bare = [timed(BARE) for _ in range(options.runs)]
    help_runs = [timed((*command_line(), "--help"), says="export") for _ in range(options.runs)]
    figures = [seconds("--help", help_runs, HELP, bare)]
    for smallest in OFFLINE:
        runs = [scan(smallest) for _ in range(options.runs)]
        figures += [seconds(smallest.what, runs, SCAN, bare), memory(smallest.what, runs)]
    with laboratory(hosts=60, seed=options.seeds[0]) as lab:
        name = f"www.{lab.target}"
        arguments = (name, "--module", "dns_records", "--profile", "standard", "--format", "hosts")
        smallest = Smallest("scan of one name, its DNS only", (*arguments, "--resolver", lab.resolver), name)
        runs = [scan(smallest, lab.environment) for _ in range(options.runs)]
    return [*figures, seconds(smallest.what, runs, SCAN, bare), memory(smallest.what, runs)]


def command_line() -> Sequence[str]:
    """The script that people call, where its environment is made; else what it calls."""
    return SHELL if (ROOT / ".venv" / "bin" / "python").exists() and shutil.which("bash") else MIRAGE


def scan(smallest: Smallest, environment: Mapping[str, str] | None = None) -> Run:
    with tempfile.TemporaryDirectory(prefix="bench-data-") as data:
        command = (*command_line(), "scan", *smallest.arguments, "--data", data)
        return timed(command, environment, says=smallest.says)


def timed(command: Sequence[str], environment: Mapping[str, str] | None = None, says: str = "") -> Run:
    """Run once, unwatched: looking at the memory of so short a run would lengthen it."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(command, environment=environment, watch=False, folder=Path(folder))
    if done.code or says not in done.out.decode():
        raise Unable(f"{' '.join(command)} ended with {done.code}: {done.errors.decode()[-300:]}")
    return done


def seconds(what: str, runs: Sequence[Run], bar: float, bare: Sequence[Run]) -> Figure:
    walls = [done.wall for done in runs]
    return Figure(
        what=what,
        value=middle(walls),
        unit="s",
        bar=bar,
        at_most=True,
        bare=middle([done.wall for done in bare]),
        spread=span(walls),
        beside=f"cpu {middle([done.cpu for done in runs]):.2f} s, bare {middle([done.cpu for done in bare]):.2f}",
    )


def memory(what: str, runs: Sequence[Run]) -> Figure:
    peaks = [done.largest for done in runs]
    return Figure(what=f"{what}, memory", value=middle(peaks), unit="MB", bar=MEMORY, at_most=True, spread=span(peaks))


BENCH = Bench("start", "`mirage --help` ≤ 0.4 s; smallest scan, process start to result, ≤ 1 s and ≤ 90 MB.", benchmark)
