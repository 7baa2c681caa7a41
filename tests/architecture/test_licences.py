"""Mirage is MIT: nothing that it imports may be under a licence that asks for more than the library itself."""

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

LOCK = Path(__file__).parents[2] / "requirements.lock"
NAMES = re.findall(r"^([a-z0-9][a-z0-9._-]*)==", LOCK.read_text("utf-8"), re.MULTILINE)
COPYLEFT = re.compile(r"\b(A?GPL|Affero|GNU General Public)", re.IGNORECASE)


@pytest.mark.parametrize("name", NAMES)
def test_no_dependency_is_under_the_gpl_or_agpl(name: str) -> None:
    try:
        metadata = distribution(name).metadata
    except ModuleNotFoundError:
        pytest.skip("not for this platform")
    told = [metadata.get("License-Expression") or "", (metadata.get("License") or "")[:200]]
    told += [line for line in metadata.get_all("Classifier") or [] if line.startswith("License")]
    assert not COPYLEFT.search(" ".join(told).replace("LGPL", "").replace("Lesser General", ""))
