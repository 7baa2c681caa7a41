"""How migrations are found in a package."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.kernel.errors import Invalid
from services.kernel.sql import Migration
from services.kernel.sql.migrations import load

Make = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(*names: str) -> str:
        name = f"migrations_of_{tmp_path.name}"
        made.append(name)
        (tmp_path / name).mkdir()
        for file in names:
            (tmp_path / name / file).write_text(f"-- {file} é\n", encoding="utf-8")
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_files_are_read_in_the_order_of_their_numbers(package: Make) -> None:
    name = package("0002_more.sql", "0001_first.sql", "notes.md")
    assert load(name) == [
        Migration(1, "first", "-- 0001_first.sql é\n"),
        Migration(2, "more", "-- 0002_more.sql é\n"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["0001_a.sql", "0003_c.sql"],
        ["0002_b.sql"],
        ["0001_a.sql", "0001_b.sql"],
        ["1_a.sql"],
        ["0001-a.sql"],
        ["0001_A.sql"],
    ],
)
def test_a_gap_a_repetition_or_a_wrong_name_is_refused(package: Make, names: list[str]) -> None:
    with pytest.raises(Invalid):
        load(package(*names))
