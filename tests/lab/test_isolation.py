"""The lab and the services know nothing of each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(folder: str) -> Iterator[tuple[Path, str]]:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path, node.module or ""


@pytest.mark.parametrize(("folder", "other"), [("lab", "services"), ("services", "lab"), ("control_plane", "lab")])
def test_neither_imports_the_other(folder: str, other: str) -> None:
    assert not [path for path, name in imported(folder) if name.split(".")[0] == other]
