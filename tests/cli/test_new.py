"""`mirage new` makes what passes every check at once: tried in a copy of the tree."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.scaffolding import name_values, sort_imports, write_scaffold
from services.kernel.errors import Invalid

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "bench", "proof")
#: Class and subject of each kind of module that there is a scaffold for.
MODULES = {
    "named_below": ("passive", "domain"),
    "seen_hosts": ("passive", "ip_address"),
    "txt_words": ("dns", "hostname"),
    "few_words": ("guess", "domain"),
    "well": ("active", "hostname"),
}
#: One name before and one behind the others in the order of imports.
SERVICES = ("alerts", "zones")

Run = Callable[..., str]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in ("services", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    (folder / "lab").mkdir()
    shutil.copy(ROOT / "lab" / "__init__.py", folder / "lab")
    for name in ("pyproject.toml", "README.md", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def run(copy: Path) -> Run:
    """Run a Python module in the copy; its output, or what it failed with."""

    def run_in_copy(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", *arguments], cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run_in_copy


@pytest.fixture(scope="module")
def made(copy: Path, run: Run) -> list[str]:
    """Everything that can be made, made once; the paths that were written or changed."""
    said = [
        run("services", "new", "module", name, "--activity", activity, "--consumes", consumes)
        for name, (activity, consumes) in MODULES.items()
    ]
    said += [run("services", "new", "service", name) for name in SERVICES]
    return [line for text in said for line in text.splitlines() if (copy / line).is_file()]


def test_what_is_made_is_said(made: list[str]) -> None:
    for name in MODULES:
        assert f"services/collector/modules/{name}.py" in made
        assert sum(line.startswith(f"tests/collector/cases/{name}/") for line in made) == 2
    for name in SERVICES:
        assert {
            f"services/{name}/service.py",
            f"services/{name}/README.md",
            f"tests/services/{name}/test_{name}.py",
        } <= {*made}
    assert {"services/catalogue.py", "pyproject.toml", "services/contracts/endpoints/__init__.py"} <= {*made}


def test_the_next_command_that_is_said_is_one_that_runs(copy: Path, run: Run, made: list[str]) -> None:
    lock = json.loads((copy / "tests/golden/modules.json").read_text())
    module = copy / "services/collector/modules/well.py"
    module.write_text(module.read_text() + "\n\nMORE = 1\n")
    said = run("services", "new", "module", "next_one", "--activity", "passive")
    (line,) = (line for line in said.splitlines() if "modules lock" in line)
    words = line.split("&&")[0].split()
    assert words == ["./mirage", "modules", "lock", "next_one"]
    assert "locked: next_one" in run("services", *words[1:])
    assert "well: the code changed and the version is still 1" in run("services", "modules", "lock", "well")
    assert json.loads((copy / "tests/golden/modules.json").read_text())["well"] != lock["well"]
    assert "there is no module nosuch" in run("services", "modules", "lock", "nosuch", code=1)


def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tests").write_text("as if the checkout could only be read\n")
    values = {**name_values("fresh"), "consumes": "domain", "seen": "{}", "value": "v", "below": "b"}
    with pytest.raises(Invalid, match=r"^tests/\S+ cannot be written: "):
        write_scaffold("module/names_below", tmp_path, values)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "tests"]


def test_it_is_clean_and_formatted(run: Run, made: list[str]) -> None:
    code = sorted({line for line in made if line.endswith(".py")})
    run("ruff", "check", *code)
    run("ruff", "format", "--check", *code)


def test_its_types_fit(run: Run, made: list[str]) -> None:
    code = [line for line in made if line.endswith(".py") and line.startswith("services/")]
    run("mypy", *sorted(set(code)))


def test_it_fits_into_the_architecture_and_what_is_rendered(run: Run, made: list[str]) -> None:
    tests = ("tests/architecture/test_layout.py", "tests/golden", "tests/cli/rendering")
    assert "passed" in run("pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_services_are_held_to_the_rules_on_imports(copy: Path, made: list[str]) -> None:
    rules = tomllib.loads((copy / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for rule in rules:
        kinds = ("modules", "source_modules", "forbidden_modules", "containers")
        packages = {name for kind in kinds for name in rule.get(kind, ())}
        if "services.storage" in packages:
            assert {f"services.{name}" for name in SERVICES} <= packages, rule["name"]


def test_modules_pass_what_every_module_must(run: Run, made: list[str]) -> None:
    tests = ("tests/collector/test_manifests.py", "tests/collector/test_cases.py", "tests/collector/test_hostile.py")
    chosen = " or ".join(MODULES)
    assert "passed" in run("pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", chosen)


def test_services_pass_their_own_tests(run: Run, made: list[str]) -> None:
    tests = [f"tests/services/{name}" for name in SERVICES]
    assert "passed" in run("pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("module", "crtsh", "--activity", "passive"), "services/collector/modules/crtsh.py is there already"),
        (("module", "crtsh"), "missing option '--activity'. Choose from: passive, dns, guess, active"),
        (("module", "Bad-Name", "--activity", "passive"), "named by 3 to 31 small letters"),
        (("module", "fresh", "--activity", "passive", "--consumes", "weather"), "there is no entity type weather"),
        (("module", "fresh", "--activity", "dns", "--consumes", "asn"), "is there for domain and hostname"),
        (("service", "storage"), "services/storage is there already"),
        (("service", "kernel"), "services/kernel is there already"),
        (("service", "Bad_Name"), "named by 3 to 16 small letters"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(
    copy: Path, run: Run, arguments: tuple[str, ...], says: str
) -> None:
    before = {path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    code = 1 if "modules/crtsh.py" in says else 2
    said = run("services", "new", *arguments, code=code)
    assert says in said
    assert len(said.splitlines()) == 1
    assert {path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in path.parts} == before


def test_imports_of_ours_are_put_in_order_whatever_the_name_is() -> None:
    text = "from typing import Final\n\nfrom services.kernel.a import b\nfrom services.alerts import B, A\n\nx = 1\n"
    assert sort_imports(text) == (
        "from typing import Final\n\nfrom services.alerts import A, B\nfrom services.kernel.a import b\n\nx = 1\n"
    )
