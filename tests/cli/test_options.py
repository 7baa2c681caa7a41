"""The options about the data folder are taken before a command's name and after it; the last one counts."""

from pathlib import Path

import pytest

from tests.cli.conftest import Mirage


@pytest.mark.parametrize(
    "words",
    [
        "--data DATA --workspace ours scans list",
        "scans --data DATA --workspace ours list",
        "scans list --data DATA --workspace ours",
        "--workspace theirs --data nowhere scans --workspace ours list --data DATA",
    ],
)
def test_data_and_workspace_are_taken_before_the_command_and_after_it(
    mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    code, _, said = mirage(*words.replace("DATA", str(tmp_path / "data")).split())
    assert code == 0, said
    assert f"./mirage scan example.org --data {tmp_path / 'data'} --workspace ours" in said
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_that_is_named_counts_and_not_a_server_of_the_environment(
    mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRAGE_SERVER", "http://127.0.0.1:9")
    code, _, told = mirage("scans", "list", "--data", str(tmp_path))
    assert code == 0, told
    counts, said = told.splitlines()
    assert counts == f"mirage: --data counts: the data folder {tmp_path} is asked, not http://127.0.0.1:9"
    assert f"--data {tmp_path}" in said
    assert "--server" not in said
    code, _, told = mirage("scans", "list", "--data", str(tmp_path), "--server", "http://127.0.0.1:9")
    assert (code, told) == (
        2, f"mirage: either the data folder {tmp_path} is asked or the server http://127.0.0.1:9\n",
    )  # fmt: skip


def test_a_token_is_not_passed_over_where_no_server_is_asked(
    mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("MIRAGE_TOKEN", "hunter2")
    told = (
        f"mirage: MIRAGE_TOKEN is not used: the data folder {tmp_path}/mirage is asked;"
        " for a server say --server or MIRAGE_SERVER\n"
    )
    assert mirage("modules", "list")[2] == told
    code, _, said = mirage("scan", "+41446681800", "--module", "phone", "--quiet")
    assert (code, said) == (0, told)
    assert mirage("modules", "list", "--data", str(tmp_path / "mirage"))[2] == ""
    monkeypatch.delenv("MIRAGE_TOKEN")
    assert mirage("modules", "list")[2] == ""


def test_whoever_has_a_folder_is_its_operator(mirage: Mirage, tmp_path: Path) -> None:
    said = mirage("whoami", "--data", str(tmp_path), "--workspace", "ours")[1]
    assert said == f"The operator of {tmp_path}, who may all, in the workspace ours\n"


def test_dead_letters_of_a_fleet_are_listed_without_a_verb_and_in_the_folder_that_is_named_before_one(
    mirage: Mirage, tmp_path: Path
) -> None:
    told = mirage("fleet", "dead", "list", "--data", str(tmp_path))
    assert str(tmp_path) in told[2]
    assert mirage("fleet", "dead", "--data", str(tmp_path)) == told
    assert mirage("fleet", "dead", "--data", str(tmp_path), "list") == told
