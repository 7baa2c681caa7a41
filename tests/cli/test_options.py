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
    code, said, fault = mirage(*words.replace("DATA", str(tmp_path / "data")).split())
    assert code == 0, fault
    assert f"./mirage scan example.org --data {tmp_path / 'data'} --workspace ours" in said
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
