"""The README's tables are rendered, everything else is left alone."""

from pathlib import Path

import pytest

from services.catalogue import SERVICES, load_services
from services.cli.rendering.readme import fill_readme, modules_table, services_table
from services.collector.manifest import MODULES
from services.kernel.errors import Invalid

ROOT = Path(__file__).parents[3]
PAGE = "# M\n<!-- rendered: services -->\nold\n<!-- end -->\nbetween\n<!-- rendered: modules -->\n<!-- end -->\nafter\n"


def test_the_committed_readme_is_what_the_declarations_say() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == fill_readme(text, load_services()), "./mirage render"


def test_only_what_is_between_the_marks_is_changed() -> None:
    filled = fill_readme(PAGE, load_services())
    assert "old" not in filled
    outside = filled.replace(services_table(load_services()), "").replace(modules_table(), "")
    assert outside == PAGE.replace("old\n", "")
    assert fill_readme(filled, load_services()) == filled


def test_every_service_and_every_module_has_a_row_with_a_page_behind_it() -> None:
    rows = services_table(load_services()).splitlines()[2:]
    assert [row.split("/]")[0] for row in rows] == [f"| [{name}" for name in SERVICES]
    rows = modules_table().splitlines()[2:]
    assert len(rows) == len(list(MODULES.glob("[!_]*.py")))
    for row in rows:
        assert row.count("|") == 6
        assert (ROOT / row.partition("](")[2].partition(")")[0]).is_file()


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<!-- rendered: weather -->\n<!-- end -->\n", "asks for a table weather; there are services, modules"),
        ("<!-- rendered: services -->\n", "has no <!-- end -->"),
    ],
)
def test_a_mark_that_means_nothing_is_refused(page: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        fill_readme(page, load_services())
