"""The picture in the README shows what there is, and loads nothing from elsewhere."""

import re
from html import unescape

from services.cli.main import COMMANDS
from tests.cli.picture import PICTURE, draw, shown

README = PICTURE.parents[1] / "README.md"


def test_the_readme_shows_the_picture_and_says_what_is_on_it() -> None:
    (described,) = re.findall(r"!\[(.+)\]\(lab/demo\.svg\)", README.read_text("utf-8"))
    assert "./mirage demo" in described


def test_the_picture_is_small_and_needs_nothing_from_elsewhere() -> None:
    picture = PICTURE.read_text("utf-8")
    assert len(picture) < 40_000
    assert re.findall(r"\w+://[^\s\"'<]+", picture) == ["http://www.w3.org/2000/svg"]  # the name of the format
    assert not re.search(r"<(script|image|use|foreignObject)|@import|@font-face|url\((?!#)|href", picture)


def test_the_commands_on_the_picture_are_there() -> None:
    text = unescape(re.sub(r"<[^>]*>", "", PICTURE.read_text("utf-8"))).replace("\xa0", " ")
    shown = set(re.findall(r"\./mirage ([a-z-]+)", text))
    assert len(shown) > 4
    assert shown <= COMMANDS.keys()


def test_the_middle_of_the_sources_is_left_out() -> None:
    rows = [f" module_{'abcdefghijklmnopqrst'[n]}   passive   answered" for n in range(20)]
    lines = shown("\n".join(["Scan", *rows, "Try next"]))
    first, last = (tuple(f"module_{letter}" for letter in letters) for letters in ("abcdefghi", "qrst"))
    assert [line.split()[0] for line in lines] == ["$", "Scan", *first, "…", *last, "Try"]
    assert draw(lines).startswith("<svg")
