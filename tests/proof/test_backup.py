"""A backup of a scan at work is that scan at one instant: taken up elsewhere, it comes to the same end."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from services.kernel.folder import is_data
from tests.proof.moments import Window, look
from tests.proof.processes import DEEP, SLOW, WAIT, Mirage, ended, excluding, started_lab, steady, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOSTS = 60


def test_what_was_backed_up_while_a_scan_ran_comes_to_the_same_end(tmp_path: Path) -> None:
    with started_lab(tmp_path / "lab", hosts=HOSTS, seed=3) as lab:
        mirage = Mirage(tmp_path / "data", lab)
        taken: list[tuple[int, Path]] = []
        with ended(mirage.start(*mirage.scan_arguments(*DEEP, *excluding(*SLOW), *steady(lab)))) as scan:
            for share in (20, 120, 250):
                with closing(Window(mirage.folder)) as window:
                    until(
                        lambda least=share, window=window: window.look().exchanges >= least or scan.poll() is not None
                    )
                assert scan.poll() is None, "the scan ended before it was backed up"
                file = tmp_path / f"backup-{share}"
                mirage.output("backup", str(file))
                taken.append((share, file))
            assert scan.wait(WAIT) == 0
        total, claims = look(mirage.folder), mirage.canonical()
        for share, file in taken:
            restored = Mirage(tmp_path / f"restored-{share}", lab)
            restored.output("restore", str(file))
            assert share <= look(restored.folder).exchanges < total.exchanges
            restored.output("scans", "watch", "last")
            assert restored.canonical() == claims
            assert "0 faults" in restored.output("evidence", "verify", "last")


def reach(folder: Path, scan: "subprocess.Popen[str]", exchanges: int) -> None:
    """Return when so many exchanges are journalled; the scan is to go on after that."""
    with closing(Window(folder)) as window:
        until(lambda: scan.poll() is not None or window.look().exchanges >= exchanges)
    assert scan.poll() is None, "it ended before it was backed up"


def test_every_file_of_a_data_folder_is_data_or_known_to_be_none(mirage: Mirage) -> None:
    mirage.scan("--profile", "passive", "--module", "crtsh")
    places = {path.relative_to(mirage.folder).as_posix() for path in mirage.folder.rglob("*") if path.is_file()}
    others = {place for place in places if not is_data(place) and not place.endswith(("-wal", "-shm"))}
    assert others == {"lock", "master.key"}
