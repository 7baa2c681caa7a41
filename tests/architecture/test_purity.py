"""What decides, and what is said on the wire, is pure: the same question has the same answer everywhere and always."""

from pathlib import Path

import pytest

from services.catalogue import SERVICES
from tests.architecture.imports import worldly

ROOT = Path(__file__).parents[2]
PURE = sorted(
    [
        *(ROOT / "services" / "contracts").rglob("*.py"),
        *(path for name in SERVICES for path in (ROOT / "services" / name).glob("domain.py")),
        *(path for name in SERVICES for path in (ROOT / "services" / name / "domain").rglob("*.py")),
    ]
)
#: What may be used all the same, and why.
ALLOWED = {
    "services/contracts/names.py": {
        "importlib.util.find_spec",  # where the list of public suffixes lies: a constant that comes with a package
        "pathlib.Path",
    },
    "services/reporting/domain/exports/stix_extension.py": {
        "pathlib.Path",  # where the schema lies: a constant beside the code
    },
    "services/contracts/scope.py": {
        "socket.AF_INET",  # the two forms of addresses; nothing is opened
        "socket.AF_INET6",
        "socket.inet_pton",
    },
}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PURE, ids=named)
def test_what_is_pure_reaches_no_world(path: Path) -> None:
    assert worldly(path) == ALLOWED.get(named(path), set())


def test_every_service_that_decides_is_looked_at() -> None:
    assert {path.parts[-2] for path in PURE if path.stem == "domain"} >= {"registry", "storage"}
    assert ROOT / "services" / "scans" / "domain" / "windows.py" in PURE
    assert set(ALLOWED) <= {named(path) for path in PURE}


@pytest.mark.parametrize(
    "code",
    [
        *("import socket", "import os.path", "import asyncio as a", "from time import time", "from os import path"),
        *("from urllib import request", "import urllib.request", "from uuid import uuid4", "from random import choice"),
        *("def f():\n    import subprocess", "open('a')", "datetime.now(UTC)", "date.today()", "__import__('socket')"),
    ],
)
def test_a_way_into_the_world_is_seen(code: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(code)
    assert worldly(tmp_path / "code.py")


def test_what_only_looks_worldly_is_let_through(tmp_path: Path) -> None:
    code = "from urllib.parse import quote\nfrom uuid import UUID, uuid5\nimport timeit\nctx.now\nsocket = 1\n"
    (tmp_path / "code.py").write_text(code)
    assert not worldly(tmp_path / "code.py")
