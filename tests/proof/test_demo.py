"""What the demo reports is true in the lab, and there is much of it."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lab.generate import generate
from lab.generate.weaknesses import weaken
from lab.providers import load_providers
from lab.truth import all_entities
from lab.web.certificates import Authority
from services.contracts import entities
from services.contracts.claims import Entity, Malformed
from tests.proof.processes import WAIT, Mirage, ended, environment

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Mirage:
    """The demo as it is first called, while everything else is served from the usual folder."""
    share = tmp_path_factory.mktemp("share")
    command, environ = [sys.executable, "-m", "services"], environment(XDG_DATA_HOME=str(share))
    serving = subprocess.Popen(
        [*command, "up", "--listen", "127.0.0.1:0"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with ended(serving):
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("Mirage is up")
        done = subprocess.run(
            [*command, "demo", "--quiet"], env=environ, capture_output=True, text=True, timeout=WAIT, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout
    assert re.search(rf"(?s)Try next.+/mirage export \w+ --format hosts --data {share}/mirage-demo", done.stdout)
    return Mirage(share / "mirage-demo")


@pytest.fixture(scope="module")
def export(demo: Mirage) -> list[dict[str, object]]:
    lines = demo.output("export", "last", "--format", "jsonl", "--all", "--workspace", "demo").splitlines()
    return [json.loads(line) for line in lines]


def truth(folder: Path) -> set[Entity]:
    """All that may be reported of the demo's world, in normal form."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = weaken(generate(60, 1), day)
    true = set()
    for kind, *parts in all_entities(world, Authority(1, folder), load_providers().values()):
        try:
            true.add(entities.entity(kind, *parts))
        except Malformed:  # a statement that only reads like an entity
            continue
    return true


def test_every_entity_of_the_demo_is_true(export: list[dict[str, object]], tmp_path: Path) -> None:
    reported = {entities.entity(line["type"], *line["key"]) for line in export if line["layer"] == "entity"}
    assert not sorted(map(str, reported - truth(tmp_path)))


def test_the_demo_reports_sixty_entities_of_twelve_types_from_fifteen_modules(export: list[dict[str, object]]) -> None:
    reported = [line for line in export if line["layer"] == "entity"]
    assert len(reported) >= 60
    assert len({line["type"] for line in reported}) >= 12
    assert len({said["module"] for line in export for said in line["assertions"]}) >= 15


def test_the_demo_can_be_verified_and_replayed_when_its_lab_is_gone(demo: Mirage) -> None:
    assert "0 differences" in demo.output("replay", "last", "--workspace", "demo")
    assert demo.run("evidence", "verify", "last", "--workspace", "demo").returncode == 0


def drawn(svg: str) -> set[str]:
    """What the nodes of a drawing are, by the first 100 signs."""
    return {(title.text or "")[:100] for title in ET.fromstring(svg).iterfind(".//{*}circle/{*}title")}


def called(entity: Any) -> str:
    return f"{entity['type']}: {entity['value']}"[:100]


@pytest.mark.parametrize("layout", ["force", "layered", "radial"])
def test_the_graph_of_the_demo_is_drawn_with_all_that_it_has(
    demo: Mirage, export: list[dict[str, object]], tmp_path: Path, layout: str
) -> None:
    file = tmp_path / "graph.svg"
    demo.output("graph", "show", "last", "--layout", layout, "--output", str(file), "--workspace", "demo")
    assert drawn(file.read_text("utf-8")) >= {called(line) for line in export if line["layer"] == "entity"}


def test_what_is_near_an_entity_is_drawn_alone(demo: Mirage, export: list[dict[str, Any]]) -> None:
    name = "www.halyard-freight.example"
    svg = demo.output("graph", "show", "last", "--around", name, "--hops", "1", "--workspace", "demo")
    pairs = [(line["source"], line["target"]) for line in export if line["layer"] == "relation"]
    assert drawn(svg) == {called(end) for pair in pairs if name in {end["value"] for end in pair} for end in pair}
