"""What the lock of a module covers: its own code and all code that it shares with others."""

from pathlib import Path

import pytest

from services.collector.manifest import MODULES
from tests.collector.lock import ROOT, code

FILES = {
    "modules/one.py": """
        '''About.'''
        from services.collector.archetypes.names import below
        from services.collector.naming import Guesser
        MANIFEST = Manifest(id="one", version=1, title="One", options={"pages": 3})
    """,
    "archetypes/names.py": """
        from services.collector.context import Answer
        def below(text):
            '''What lies below.'''
            from services.collector.pages import html  # late
            return html.read(text, timeout=3)
    """,
    "archetypes/other.py": "OTHER = 1",
    "naming/__init__.py": "import services.collector.naming.guesser",
    "naming/guesser.py": "from services.collector.archetypes.names import below",
    "pages/html.py": "LIMIT = Limit(timeout=3)",
    "context.py": "ANSWER = 1",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path, name, text)
    return tmp_path


def write(tree: Path, name: str, text: str) -> None:
    file = tree / "services" / "collector" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))


def locked(tree: Path) -> str:
    return code(tree / "services" / "collector" / "modules" / "one.py", tree)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("modules/one.py", '"pages": 3', '"pages": 4'),
        ("archetypes/names.py", "html.read(text", "html.read(text.lower()"),
        ("naming/__init__.py", "import ", "LOUD = 1; import "),
        ("naming/guesser.py", "below", "below as under"),
        ("pages/html.py", "timeout=3", "timeout=4"),
    ],
)
def test_a_change_of_what_a_module_rests_on_is_noticed(tree: Path, name: str, old: str, new: str) -> None:
    before = locked(tree)
    assert old in FILES[name]
    write(tree, name, FILES[name].replace(old, new))
    assert locked(tree) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("modules/one.py", "About", "About it"),
        ("modules/one.py", "version=1", "version=2, rate=3.0"),
        ("archetypes/names.py", "# late", "# later"),
        ("archetypes/names.py", "What lies below", "All that lies below"),
        ("archetypes/other.py", "1", "2"),
        ("context.py", "1", "2"),
    ],
)
def test_a_change_of_anything_else_is_not(tree: Path, name: str, old: str, new: str) -> None:
    before = locked(tree)
    assert old in FILES[name]
    write(tree, name, FILES[name].replace(old, new))
    assert locked(tree) == before


def test_the_modules_that_read_pages_rest_on_how_pages_are_read(tmp_path: Path) -> None:
    def copy(change: str = "") -> list[str]:
        for file in (ROOT / "services" / "collector").rglob("*.py"):
            to = tmp_path / file.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(file.read_bytes())
        html = tmp_path / "services/collector/pages/html.py"
        html.write_text(html.read_text() + change)
        modules = sorted((tmp_path / MODULES.relative_to(ROOT)).glob("[!_]*.py"))
        return [f"{module.stem} {code(module, tmp_path)}" for module in modules]

    changed = {line.split()[0] for line in set(copy()) - set(copy("\nMORE = 1\n"))}
    assert {"web", "crawl", "well_known"} <= changed
    assert not changed & {"crtsh", "dns_records", "whois"}
