"""The tree shows the architecture: the same names everywhere, nothing that is a drawer for everything."""

import re
from pathlib import Path

import pytest

from services.catalogue import SERVICES, load_service
from services.kernel.calls import Endpoint
from services.kernel.messages import message_type
from services.kernel.service import Service, load
from tests.architecture.layout import COMMON, OWN

ROOT = Path(__file__).parents[2]
FORBIDDEN = re.compile(r"^(utils?|helpers?|common|managers?|base|misc|tools)(\.py)?$")


def python_files() -> list[Path]:
    folders = [ROOT / name for name in ("services", "lab", "tests")]
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_only_the_files_that_the_layout_names(name: str) -> None:
    found = {path.stem if path.suffix == ".py" else path.name for path in (ROOT / "services" / name).iterdir()}
    assert found - {"__pycache__"} <= COMMON | OWN.get(name, set())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_page_that_explains_it(name: str) -> None:
    assert len((ROOT / "services" / name / "README.md").read_text("utf-8")) > 500


def test_every_folder_with_a_service_is_in_the_catalogue() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/service.py")} - {"kernel"}
    assert folders == set(SERVICES)


def test_no_file_is_a_drawer_for_everything() -> None:
    assert [path for path in python_files() if FORBIDDEN.match(path.name)] == []


def test_no_file_grows_past_the_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in python_files()
        if (lines := len(path.read_text("utf-8").splitlines())) > (700 if "tests" in path.parts else 450)
    }
    assert long == {}


def test_the_readme_shows_the_folders_that_there_are() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for folder in ("services/", "lab/", "tests/", *(f"{name}/" for name in SERVICES)):
        assert folder in readme


def services() -> list[Service]:
    return [load_service(name) for name in SERVICES]


def test_every_consumed_message_is_published_by_its_owner() -> None:
    published = {message for service in services() for message in service.publishes}
    for service in services():
        for message in service.consumes:
            assert message in published or message_type(message).split(".")[1] == "cmd"


def test_a_service_publishes_facts_of_its_own_only() -> None:
    for service in services():
        for message in service.publishes:
            _, kind, owner, *_ = message_type(message).split(".")
            assert owner == service.name or kind == "cmd"


def test_a_service_handles_what_it_declares_to_consume() -> None:
    for service in services():
        handled = {handles.takes for handles in load(service.consumers)} if service.consumers else set()
        assert handled == set(service.consumes)


def test_a_service_answers_what_it_declares_and_every_question_has_an_owner() -> None:
    answered: set[Endpoint] = set()
    for service in services():
        doors = load(service.doors) if service.doors else {}
        assert set(doors) == set(service.answers)
        assert all(endpoint.service == service.name for endpoint in doors)
        answered |= set(doors)
    from services.contracts import endpoints

    declared = {value for value in vars(endpoints).values() if isinstance(value, Endpoint)}
    assert declared == answered
    assert {endpoint for service in services() for endpoint in service.asks} <= declared
