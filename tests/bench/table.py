"""Figures as tables: for a terminal, and in RESULTS.md."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from tests.bench.declaration import Figure

HEAD = ("what", "figure", "bar", "", "bare limit", "ratio", "beside")


class Measured(Struct, frozen=True, kw_only=True):
    """What came of one benchmark; ``trouble`` is why there are no figures."""

    name: str
    bar: str
    figures: tuple[Figure, ...] = ()
    trouble: str = ""
    machine: str = ""
    date: str = ""
    load: tuple[float, float] = (0.0, 0.0)


def cells(figure: Figure) -> tuple[str, ...]:
    value = quantity(figure.value, figure.unit)
    if figure.spread is not None:
        value += f" ({number(figure.spread[0])} to {number(figure.spread[1])})"
    bar = "" if figure.bar is None else f"{'≤' if figure.at_most else '≥'} {quantity(figure.bar, figure.unit)}"
    verdict = {True: "met", False: "**missed**", None: ""}[figure.met]
    bare = "" if figure.bare is None else quantity(figure.bare, figure.unit)
    ratio = f"{figure.value / figure.bare:.2f}" if figure.bare else ""
    return figure.what, value, bar, verdict, bare, ratio, figure.beside


def quantity(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".strip()


def number(value: float) -> str:
    """Three digits or more of a number."""
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"


def plain(results: Iterable[Measured]) -> str:
    """One table of all figures, in columns."""
    rows: list[tuple[str, ...]] = [("benchmark", *HEAD)]
    for result in results:
        rows += [(result.name, *(cell.replace("**", "") for cell in cells(figure))) for figure in result.figures]
        if result.trouble:
            rows.append((result.name, result.trouble, "", "", "", "", "", ""))
    short = [row for row in rows if row[2]] or rows
    widths = [max(len(row[column]) for row in short) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join((lines[0], "  ".join("-" * width for width in widths), *lines[1:]))


def section(result: Measured) -> str:
    """A benchmark's part of RESULTS.md."""
    lines = [f"### {result.name}", "", result.bar, ""]
    if result.trouble:
        lines.append(f"Not measured: {result.trouble}.")
    else:
        lines += [row(HEAD), row(["---"] * len(HEAD)), *(row(cells(figure)) for figure in result.figures), ""]
        before, after = result.load
        lines.append(f"Measured {result.date}; load average {before:.1f} before, {after:.1f} after; {result.machine}.")
    return "\n".join(lines) + "\n"


def row(values: Sequence[str]) -> str:
    return "| " + " | ".join(value.replace("|", "/") for value in values) + " |"
