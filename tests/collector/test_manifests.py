"""What every module must be, whoever wrote it."""

import ast
import contextlib
import importlib
import inspect
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.collector.item.run import import_module_of
from services.collector.manifest import MODULES, BadManifest, ModuleFile, read_manifest
from services.contracts import entities, relations
from services.kernel.errors import Incompatible
from tests.architecture.imports import imported, within, worldly
from tests.collector.lock import code, read_lock
from tests.collector.recorded import CASES, load_module, read_case, readable_modules

FILES = readable_modules()
LOCKED = read_lock()
SETS = {"names", "level"}
#: What a module may not import beside what is worldly in itself.
OUTSIDE = frozenset({"services.kernel", "services.collector.fetch", "services.collector.item", "lab", "tests", "uuid"})

each_module = pytest.mark.parametrize("file", FILES, ids=lambda file: file.manifest.id)


@pytest.mark.parametrize("path", sorted(MODULES.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_the_manifest_is_a_literal_that_can_be_read_without_running_the_module(path: Path) -> None:
    assert read_manifest(path).manifest.id == path.stem


@each_module
def test_the_manifest_is_sound(file: ModuleFile) -> None:
    manifest = file.manifest
    assert manifest == load_module(manifest.id).MANIFEST
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,30}", manifest.id)
    assert manifest.version >= 1
    assert 2 <= len(manifest.title) <= 60
    for page in (manifest.source, manifest.format):
        assert urlsplit(page).scheme == "https"
        assert urlsplit(page).hostname
    named = [host for host in manifest.hosts if re.fullmatch(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+", host)]
    assert [host for host in manifest.hosts if host not in named] in ([], ["*"])
    assert named or not manifest.hosts, "`*` stands beside the host of the directory that names the others"
    assert manifest.rate >= 0
    assert manifest.burst >= 1
    assert 1 <= manifest.concurrency <= 64
    assert manifest.cost >= 0
    assert 0 <= manifest.freshness <= 366 * 86_400
    assert 0 < manifest.timeout <= 86_400
    assert manifest.licence
    assert not manifest.key_required or manifest.key
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in (*manifest.options, manifest.key or "a"))


@pytest.mark.parametrize(
    ("said", "sound"),
    [
        ('key="paid", key_adds="names"', True),
        ("", True),
        ('key="paid"', False),
        ('key="paid", key_adds=" "', False),
        ('key_adds="names"', False),
    ],
)
def test_whoever_takes_a_key_says_what_it_adds(tmp_path: Path, said: str, sound: bool) -> None:
    file = tmp_path / "paid.py"
    file.write_text(
        'MANIFEST = Manifest(\n    id="paid", version=1, title="Paid", activity="passive", source="", format="",\n'
        f'    consumes=("domain",), produces=("domain",),\n    {said}\n)\n'
    )
    with contextlib.nullcontext() if sound else pytest.raises(BadManifest, match="key_adds"):
        read_manifest(file)


@each_module
def test_what_it_consumes_and_produces_exists(file: ModuleFile) -> None:
    manifest = file.manifest
    types = set(entities.ENTITY_TYPES) | set(relations.RELATION_TYPES)
    assert manifest.consumes
    assert manifest.produces
    assert set(manifest.consumes) <= types | SETS
    assert set(manifest.produces) <= types


@each_module
def test_it_has_the_two_functions_of_a_module(file: ModuleFile) -> None:
    module = load_module(file.manifest.id)
    assert inspect.isasyncgenfunction(module.collect)
    assert list(inspect.signature(module.collect).parameters) == ["seen", "ctx"]
    assert inspect.isgeneratorfunction(module.parse)
    assert list(inspect.signature(module.parse).parameters) == ["answer", "seen"]
    assert module.__doc__, "a module says in one paragraph what is asked, what it learns and whom it tells"


@each_module
def test_it_reaches_the_world_only_through_its_context(file: ModuleFile) -> None:
    """It has no world but that: no socket, no file, no clock, no chance."""
    path = MODULES / file.path
    assert not worldly(path)
    assert not {name for name in imported(ast.parse(path.read_bytes())) if within(name, OUTSIDE)}


@each_module
def test_it_is_recorded_with_something_and_with_nothing(file: ModuleFile) -> None:
    cases = [read_case(path) for path in (CASES / file.manifest.id).glob("*.json")]
    assert any(case.claims and not case.raises for case in cases), "no case of a full answer"
    assert any(not case.claims or case.raises for case in cases), "no case of an empty answer or a failure"


@each_module
def test_changed_code_has_a_new_version(file: ModuleFile) -> None:
    module, version = file.manifest.id, file.manifest.version
    assert module in LOCKED, f"new module: ./mirage modules lock {module}"
    locked_version, locked_code = LOCKED[module]
    now = code(file.path)
    if now != locked_code:
        what = "its code, or code that it shares with others, says something else"
        assert version != locked_version, f"{what}: raise its version, then ./mirage modules lock {module}"
    assert [version, now] == LOCKED[module], f"./mirage modules lock {module}"


def test_nothing_is_locked_or_recorded_for_modules_that_are_gone() -> None:
    ids = {file.manifest.id for file in FILES}
    assert set(LOCKED) <= ids
    assert {folder.name for folder in CASES.iterdir() if folder.is_dir()} <= ids


def test_a_subject_that_starts_a_scan_has_a_source() -> None:
    """An archetype or a module that cannot be imported would leave a hole that nobody sees."""
    for path in Path(MODULES.parent / "archetypes").glob("[!_]*.py"):
        importlib.import_module(f"services.collector.archetypes.{path.stem}")
    consumed = {name for file in FILES for name in file.manifest.consumes}
    assert {"domain", "ip_address", "netblock", "asn", "organization"} <= consumed


def test_a_module_whose_file_is_another_than_was_announced_is_not_imported(tmp_path: Path) -> None:
    changed = tmp_path / "crtsh.py"
    changed.write_bytes((MODULES / "crtsh.py").read_bytes())
    file = read_manifest(changed)
    assert import_module_of(file).manifest == file.manifest
    changed.write_bytes(changed.read_bytes() + b"# changed\n")
    with pytest.raises(Incompatible, match=r"crtsh\.py was changed while this process ran"):
        import_module_of(file)
