"""RESULTS.md: figures are rewritten by the benchmarks, what people wrote about them stays."""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.bench.table import Measured, section

FILE = Path(__file__).parent / "RESULTS.md"
FIGURES = "## Figures"
BY_HAND = ("## What limits each figure", "## Changes to the lab's rules since the first measurement")
_heading = re.compile(r"^### (\S+)$", re.MULTILINE)
INTRODUCTION = """# What was measured

Written by `./mirage test --bench --write`. Medians, with the lowest and highest in brackets; of several seeds of the
lab the worst. The bare limit is the same work in the same run without Mirage: one thread, no index, no evidence; each
benchmark says in its first lines what that is. "cpu" is processor time, which other work disturbs less than the clock.
"""


def write(results: Iterable[Measured], order: Iterable[str], file: Path = FILE) -> None:
    """Replace the sections of ``results``; keep those of benchmarks that were not run, and what is written by hand."""
    text = file.read_text("utf-8") if file.exists() else ""
    figures, by_hand = split(text)
    figures |= {result.name: section(result) for result in results}
    known = [name for name in order if name in figures]
    body = "\n".join(figures[name] for name in known)
    file.write_text(f"{INTRODUCTION}\n{FIGURES}\n\n{body}\n{by_hand}", "utf-8")


def split(text: str) -> tuple[dict[str, str], str]:
    """The sections of benchmarks by name, and all that follows them."""
    start = text.find(FIGURES)
    end = min((at for at in map(text.find, BY_HAND) if at >= 0), default=-1)
    by_hand = text[end:] if end >= 0 else "".join(f"{heading}\n\nNothing yet.\n\n" for heading in BY_HAND).rstrip("\n")
    parts = _heading.split(text[start:end] if 0 <= start < end else "")
    named = zip(parts[1::2], parts[2::2], strict=True)
    return {name: f"### {name}{body}".rstrip("\n") + "\n" for name, body in named}, by_hand.rstrip("\n") + "\n"
