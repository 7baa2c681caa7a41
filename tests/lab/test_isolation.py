"""The lab and the services know nothing of each other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(folder: str, other: str) -> Iterator[tuple[Path, str]]:
    """What is imported by the files in which the word occurs at all."""
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if re.search(rf"\b{other}\b", text) else ():
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path, node.module or ""


@pytest.mark.parametrize(("folder", "other"), [("lab", "services"), ("services", "lab"), ("control_plane", "lab")])
def test_neither_imports_the_other(folder: str, other: str) -> None:
    assert not [path for path, name in imported(folder, other) if name.split(".")[0] == other]
