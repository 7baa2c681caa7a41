"""What the benchmarks write, and what they leave alone."""

from pathlib import Path

from tests.bench.declaration import Figure
from tests.bench.results import BY_HAND, write
from tests.bench.table import Measured, cells

ORDER = ("start", "bus")


def measured(name: str, value: float) -> Measured:
    return Measured(name=name, bar="a bar", figures=(Figure(what="rate", value=value, unit="a second"),))


def test_a_benchmark_replaces_its_own_figures_only(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    write([measured("bus", 111), measured("start", 222)], ORDER, file)
    write([measured("bus", 333)], ORDER, file)
    text = file.read_text()
    assert "111" not in text
    assert text.index("222 a second") < text.index("333 a second")


def test_what_is_written_by_hand_stays(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    write([measured("bus", 111)], ORDER, file)
    by_hand = f"{BY_HAND[0]}\n\nThe disk.\n\n{BY_HAND[1]}\n\n- None.\n"
    file.write_text(file.read_text().partition(BY_HAND[0])[0] + by_hand)
    write([measured("bus", 333)], ORDER, file)
    write([measured("start", 222)], ORDER, file)
    assert file.read_text().endswith(by_hand)


def test_a_figure_meets_its_bar_from_the_right_side() -> None:
    assert Figure(what="", value=2, bar=1).met
    assert not Figure(what="", value=2, bar=1, at_most=True).met
    assert Figure(what="", value=2).met is None
    assert cells(Figure(what="", value=2, unit="s", bar=1, at_most=True))[2:4] == ("≤ 1 s", "**missed**")
