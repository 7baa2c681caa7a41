"""`mirage test`: every check of this repository, or its benchmarks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
PACKAGES = ("services", "lab")
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff", ("-m", "ruff", "check", *PACKAGES, "tests")),
    ("format", ("-m", "ruff", "format", "--check", "--quiet", *PACKAGES, "tests")),
    ("types", ("-m", "mypy")),
    ("imports", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")),
    ("rendered", ("-m", "services", "render", "--check")),
)
#: The tests of a file run in one worker, so that what they share is made once.
BY_FILE = ("--dist", "loadscope", "--no-loadscope-reorder")
#: Of the quick run: a third of its time is waiting, for what is to happen in a moment.
WORKERS = 2 * (os.cpu_count() or 1)
#: Where it has its files, if there is room: a sixth of its time went into making and removing them on a disk.
MEMORY = Path("/dev/shm")  # noqa: S108  pytest makes folders of its own there
ROOM = 1 << 30


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.option("--bench", is_flag=True, help="Run the benchmarks instead and print their table.")
@click.option(
    "--quick", is_flag=True, help="Only the fast tests, without the checks and the proofs; or each benchmark once."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...], *, bench: bool, quick: bool) -> int:
    """Run the checks and the tests; ARGUMENTS go to pytest, or to the benchmarks."""
    if bench:
        return _run("benchmarks", ("-m", "tests.bench", *(("--quick",) if quick else ()), *arguments))
    if quick or arguments:
        kept = ("-o", "tmp_path_retention_policy=failed")
        fast = ("-m", "not slow and not server", "-n", str(WORKERS), *BY_FILE, *kept)
        if quick and _has_room(MEMORY):
            os.environ.setdefault("TMPDIR", str(MEMORY))
        return _run("tests", ("-m", "pytest", "-q", *(fast if quick else ()), *arguments))
    failed = [name for name, check in CHECKS if _run(name, check)]
    coverage = ("--cov=services", "--cov-report=term:skip-covered", "--cov-fail-under=90")
    if _run("tests", ("-m", "pytest", "-q", "-n", "2", *BY_FILE, *coverage)):
        failed.append("tests")
    if failed:
        click.echo(f"Failed: {', '.join(failed)}", err=True)
    return 1 if failed else 0


def _run(name: str, arguments: tuple[str, ...]) -> int:
    click.echo(f"== {name}", err=True)
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode  # noqa: S603  our own tools


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM
