"""A list of nothing says so, on stderr: what reads it gets nothing, and whoever looks at it knows that it was asked."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Mirage

SAID = {
    "scans list": "No scans yet; make one with: ./mirage scan example.org --data DATA\n",
    "keys list": "No keys are set; which ones help: ./mirage modules list --data DATA\n",
    "settings history collector": "Nothing was set.\n",
    "retract": "Nothing is withdrawn.\n",
    "identity list": "Nothing may be one and the same, as far as is known.\n",
    "dead list": "No dead letters.\n",
    "workspaces list": "No workspaces.\n",
    "members list": "No members.\n",
    "members invitations": "No invitations.\n",
    "operators list": "No operators.\n",
    "audit list": "No entries.\n",
}
#: Of these the list is in an object.
WITHIN = {"retract": "retractions", "dead list": "letters", "identity list": "hypotheses"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize("verb", SAID)
def test_it_is_said_on_stderr_and_json_is_an_empty_list(mirage: Mirage, data: Path, verb: str) -> None:
    words = (*verb.split(), "--data", str(data))
    assert mirage(*words) == (0, "", SAID[verb].replace("DATA", str(data)))
    code, out, err = mirage(*words, "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found[WITHIN[verb]] if verb in WITHIN else found) == []
