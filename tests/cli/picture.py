"""Draw what `./mirage demo` ends with: `MIRAGE_DATA=$(mktemp -d) ./mirage demo --quiet | python -m tests.cli.picture`.

Of the table of sources the first and the last rows are shown. The drawing needs nothing from elsewhere, no font either.
"""

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parents[2] / "lab" / "demo.svg"
WIDTH = 100
FIRST, LAST = 9, 4


def shown(output: str) -> list[str]:
    """The lines of the picture, of which the middle of the table is left out."""
    lines = ["$ ./mirage demo", *(line.rstrip() for line in output.splitlines())]
    rows = [place for place, line in enumerate(lines) if re.match(r" [a-z_]+ +(passive|dns|guess|active) ", line)]
    return [*lines[: rows[FIRST]], " …", *lines[rows[-LAST] :]]


def draw(lines: list[str]) -> str:
    """The lines as SVG, in whatever fixed font the viewer has."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text(line, style="bold" if line.startswith("$") else ""), highlight=False)
    form = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "monospace").replace("font-family: arial", "font-family: sans-serif")
    drawn = console.export_svg(title="mirage", code_format=form, unique_id="demo")
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


if __name__ == "__main__":
    PICTURE.write_text(draw(shown(sys.stdin.read())), encoding="utf-8")
