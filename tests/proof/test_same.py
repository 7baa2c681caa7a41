"""The same scan of the same world says the same, from a lab and a data folder of its own each time."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.proof.processes import DEEP, SLOW, Mirage, excluding, started_lab, steady


def ids(folder: Path) -> set[tuple[str, bytes]]:
    """The ids of all entities and relations."""
    with closing(sqlite3.connect(folder / "storage.db")) as storage:
        rows = storage.execute("SELECT 'entity', id FROM entity UNION ALL SELECT 'relation', id FROM relation")
        return set(rows.fetchall())


def test_the_same_scan_twice_has_the_same_ids_and_the_same_canonical_export(tmp_path: Path) -> None:
    """Wildcards whose answers rotate are left out: what they answer depends on who asked before."""
    scanned = []
    for name in ("one", "other"):
        with started_lab(tmp_path / f"lab-{name}", "--transfer", "--nsec", hosts=70, seed=7) as lab:
            mirage = Mirage(tmp_path / name, lab)
            mirage.scan(*DEEP, *excluding(*SLOW), *steady(lab))
            scanned.append((ids(mirage.folder), mirage.canonical()))
    (one, canonical), (other, canonical_other) = scanned
    assert canonical == canonical_other
    assert len(canonical) > 1000
    assert one == other
