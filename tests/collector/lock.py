"""The version that each module's code belongs to; `./mirage modules lock [ID…]` accepts the code as it is.

Evidence is replayed by module and version, so a module that comes to say something else needs a new version, be it by
its own code or by the code that it shares with others; `tests/golden/modules.json` is what holds the two together.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from services.collector.manifest import ModuleFile
from tests.collector.recorded import readable_modules

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "tests" / "golden" / "modules.json"
#: The packages whose code decides what a module that imports it says.
SHARED: Final = tuple(f"services.collector.{package}." for package in ("archetypes", "naming", "pages"))
#: What a manifest says of how its module is run and shown, which makes no other version of it.
OPERATED: Final = frozenset(
    {
        *("version", "title", "source", "format", "licence", "affiliates", "key_adds", "forms"),
        *("rate", "burst", "quota", "key_rate", "key_quota", "budget", "concurrency", "cost", "freshness", "timeout"),
    }
)


def read_lock() -> dict[str, list[object]]:
    """Version and code digest by module id."""
    return json.loads(LOCK.read_text()) if LOCK.exists() else {}


def accept(files: list[ModuleFile], ids: list[str]) -> None:
    """Write the lock anew for ``ids`` (all when empty); modules that are gone leave it."""
    before = read_lock()
    locked: dict[str, list[object]] = {}
    for file in files:
        module, now = file.manifest.id, [file.manifest.version, code(file.path)]
        known = before.get(module)
        if ids and module not in ids:
            if known:
                locked[module] = known
            continue
        if known and known[0] == now[0] and known[1] != now[1]:
            sys.stderr.write(
                f"{module}: the code changed and the version is still {now[0]}: scans made with it replay otherwise\n"
            )
        locked[module] = now
    lines = ",\n".join(f" {json.dumps(module)}: {json.dumps(locked[module])}" for module in sorted(locked))
    LOCK.write_text(f"{{\n{lines}\n}}\n" if lines else "{}\n")


def code(path: Path, root: Path = ROOT) -> str:
    """A digest of what a module does, with all code below ``root`` that it shares with others and imports, however far.

    Comments, layout and how it is operated are left out.
    """
    parts: dict[Path, str] = {}
    waiting = [path]
    while waiting:
        part = waiting.pop()
        if part not in parts:
            parts[part], imported = _read(part.read_bytes())
            waiting += (file for name in imported for file in _files(name, root))
    lines = sorted(f"{part.relative_to(root).as_posix()} {digest}\n" for part, digest in parts.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


@cache
def _read(content: bytes) -> tuple[str, tuple[str, ...]]:
    """The digest of one file's code, and the names in `SHARED` that it imports."""
    tree = ast.parse(content)
    imported = tuple(name for name in _imports(tree) if f"{name}.".startswith(SHARED))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = ""
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MANIFEST":
            assert isinstance(node.value, ast.Call)
            node.value.keywords = [keyword for keyword in node.value.keywords if keyword.arg not in OPERATED]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _imports(tree: ast.Module) -> Iterator[str]:
    """What is imported anywhere in a file; of ``from a import b`` both, as b may be a module of the package a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str, root: Path) -> Iterator[Path]:
    """The file of a module or package; none when the name is of something within one."""
    place = root.joinpath(*name.split("."))
    return filter(Path.exists, (place.with_suffix(".py"), place / "__init__.py"))


if __name__ == "__main__":
    accept(readable_modules(), sys.argv[1:])
