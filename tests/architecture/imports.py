"""What a file reaches for, read from its text: what it imports, by full name, and the doors that need no import."""

import ast
from collections.abc import Iterator
from pathlib import Path

#: Modules through which code reaches the world: sockets, files, clocks, chance, other processes, other threads.
WORLDLY = frozenset(
    {
        *("aiohttp", "asyncio", "concurrent", "ftplib", "glob", "http", "httpx", "importlib", "io", "logging"),
        *("multiprocessing", "os", "pathlib", "random", "requests", "secrets", "selectors", "shutil", "signal"),
        *("smtplib", "socket", "socketserver", "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "threading"),
        *("time", "urllib.request", "uvloop", "uuid.uuid1", "uuid.uuid4"),
    }
)
#: What reaches it without an import, and methods that read the clock.
BUILT_IN = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})
CLOCKS = frozenset({"now", "today", "utcnow"})


def imported(tree: ast.AST) -> set[str]:
    """The full names of all that is imported anywhere in a file: of ``from a import b`` it is ``a.b``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
    return names


def within(name: str, modules: frozenset[str]) -> bool:
    """Whether a full name is one of ``modules`` or in one of them."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def called(tree: ast.AST) -> Iterator[str]:
    """What is called that reads a file, the clock or the keyboard without an import that would show it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if name in BUILT_IN:
                    yield name
                case ast.Attribute(attr=name) if name in CLOCKS:
                    yield name


def worldly(path: Path) -> set[str]:
    """All that a file reaches the world through."""
    tree = ast.parse(path.read_bytes())
    return {name for name in imported(tree) if within(name, WORLDLY)} | set(called(tree))
