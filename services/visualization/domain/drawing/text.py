"""What was collected, as text of an SVG: it can neither end an element nor turn the line round."""

import re
from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

#: What XML has no place for, and what a reader would not see but obey: controls, marks of direction, halves of pairs.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
FONT: Final = "system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,DejaVu Sans,sans-serif"
INK: Final = "#1f2933"
FAINT: Final = "#7b8794"
#: Told apart by people who see colours differently (Okabe and Ito), and lighter ones of the same.
COLOURS: Final = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c7a00", "#7f6bb2"),
    *("#5b8c5a", "#a0522d", "#4c6a92", "#b07aa1", "#3d9a9a", "#c2726a", "#6b7280", "#94a323"),
)
SEVERITY_COLOURS: Final = {
    "critical": "#7a1f2b",
    "high": "#c8442e",
    "medium": "#e08e2b",
    "low": "#5b8db8",
    "info": "#9aa5b1",
}
OUTCOME_COLOURS: Final = {
    "found": "#2f7d5b",
    "empty": "#a9b8b0",
    "truncated": "#7fae6b",
    "rate_limited": "#e0a72b",
    "blocked": "#d0702b",
    "unauthorised": "#b07aa1",
    "unreachable": "#8c7a6b",
    "failed": "#c8442e",
    "skipped": "#c3cad2",
}


def written(text: str, most: int) -> str:
    """A text of at most so many signs, as XML writes it."""
    plain = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(plain) > most:
        plain = plain[: most - 1] + "…"
    return escape(plain, {'"': "&quot;", "'": "&#39;"})


def label(
    x: float, y: float, text: str, *, most: int = 40, size: int = 11, anchor: str = "start", ink: str = INK
) -> str:
    """A line of text at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{ink}">'
        f"{written(text, most)}</text>"
    )


def opening(width: float, height: float, title: str) -> str:
    """The beginning of a drawing of so many points."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}" role="img">\n'
        f"<title>{written(title, 200)}</title>\n"
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>\n'
    )


CLOSING: Final = "</svg>\n"


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each of some names, the most important first."""
    known = {**SEVERITY_COLOURS, **OUTCOME_COLOURS}
    return {name: known.get(name, COLOURS[number % len(COLOURS)]) for number, name in enumerate(names)}


def legend(names: Iterable[tuple[str, str]], x: float, y: float, width: float) -> tuple[str, float]:
    """Swatches with names, in lines of a width; and where the next thing may begin below them."""
    parts, at, line = [], x, y
    for name, colour in names:
        needed = 26 + 6.4 * min(len(name), 40)
        if at > x and at + needed > x + width:
            at, line = x, line + 20
        parts.append(
            f'<circle cx="{at + 5:.1f}" cy="{line - 4:.1f}" r="5" fill="{colour}"/>{label(at + 14, line, name)}'
        )
        at += needed
    return "\n".join(parts) + "\n", line + 20
