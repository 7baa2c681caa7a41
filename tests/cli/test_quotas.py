"""What a workspace may use is set, shown and held from the command line."""

import json
from pathlib import Path

import pytest

from services.cli.quotas import read_amount
from services.kernel.errors import Invalid
from tests.cli.conftest import Mirage


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0), ("12", 12), ("100,000", 100_000), ("10GB", 10**10), ("500 mb", 5 * 10**8), ("1TB", 10**12),
        ("7B", 7), ("usual", None), (" Usual ", None),
    ],
)  # fmt: skip
def test_an_amount_is_a_number_with_a_unit_or_what_is_usual(text: str, amount: int | None) -> None:
    assert read_amount(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "1.5GB", "GB", "10XB", "ten", "9" * 30])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_amount(text)


def test_quotas_are_set_shown_and_held(mirage: Mirage, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    code, out, err = mirage("workspaces", "quotas", "acme", "--scans", "0", "--storage", "2GB", *data)
    assert code == 0, err
    assert "2 GB" in out
    code, out, _ = mirage("workspaces", "quotas", "--workspace", "acme", "--items", "7", "--format", "json", *data)
    said = json.loads(out)
    assert (code, said["allowed"]) == (0, {"scans": 0, "items": 7, "storage": 2 * 10**9}), "what is not named stays"
    assert said["used"] == {"scans": 0, "items": 0, "storage": 0}
    code, _, err = mirage("scan", "+41446681800", "--module", "phone", "--quiet", "--workspace", "acme", *data)
    assert code == 1
    assert "0 of the 0 scans that its quota lets run at once" in err
    code, _, err = mirage("scan", "+41446681800", "--module", "phone", "--quiet", *data)
    assert code == 0, err
    code, out, err = mirage("settings", "set", "users", "scans=0", *data)
    assert code == 0, err
    code, _, err = mirage("scan", "+41446681800", "--module", "phone", "--quiet", *data)
    assert (code, "scans that its quota" in err) == (1, True), "and what is set for all, from the first moment on"
    code, out, _ = mirage("workspaces", "quotas", "acme", "--scans", "usual", "--format", "json", *data)
    assert json.loads(out)["allowed"]["scans"] == 0
