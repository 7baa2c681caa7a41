"""Who did what, as the command line shows, exports and verifies it: it believes nobody, the server neither."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli.instants import read_instant
from services.kernel.errors import Invalid
from tests.cli.conftest import Mirage
from tests.cli.fields import documented

MODULES = ("crtsh", "certspotter", "wayback", "web")
HEAD = re.compile(r"(\d+):([0-9a-f]{64})\n")


class Trail:
    """A data folder in which somebody has turned modules off, one after the other."""

    def __init__(self, mirage: Mirage, folder: Path) -> None:
        self._mirage = mirage
        self.file = folder / "trail.jsonl"
        self._data = ("--data", str(folder / "data"))

    def call(self, *words: str, status: int = 0) -> tuple[str, str]:
        code, out, err = self._mirage(*words, *self._data)
        assert code == status, (out, err)
        return out, err

    def export(self) -> list[bytes]:
        self.call("audit", "export", "--output", str(self.file))
        return self.file.read_bytes().splitlines(keepends=True)

    def verify(self, *more: str, status: int = 0) -> tuple[str, str]:
        return self.call("audit", "verify", *more, status=status)


@pytest.fixture
def trail(mirage: Mirage, tmp_path: Path) -> Trail:
    made = Trail(mirage, tmp_path)
    for module in MODULES:
        made.call("modules", "set", module, "--off")
    return made


def test_what_was_done_a_moment_ago_is_listed_by_who_what_and_when(trail: Trail) -> None:
    shown = json.loads(trail.call("audit", "list", "--format", "json")[0])
    assert [each["about"]["module"] for each in shown] == [*reversed(MODULES)]
    assert set(shown[0]) == documented()["audit list"]
    lines = trail.call("audit", "list", "--format", "jsonl", "--limit", "2")[0].splitlines()
    assert [json.loads(line) for line in lines] == shown[:2]
    table = trail.call("audit", "list")[0]
    assert "module: crtsh" in table
    assert "operator (of this machine)" in table
    for words, found in [
        (("--what", "set_module", "--who", "operator", "--since", "1h", "--outcome", "done"), 4),
        (("--until", "2026-01-01"), 0), (("--text", "CERTSPOTTER"), 1), (("--installation",), 0),
    ]:  # fmt: skip
        assert len(json.loads(trail.call("audit", "list", "--format", "json", *words)[0])) == found
    assert "no question" in trail.call("audit", "list", "--what", "nothing", status=2)[1]


def test_what_failed_is_listed_though_its_command_has_ended(trail: Trail) -> None:
    trail.call("modules", "set", "crtsh", "--option", "nothing=1", status=2)
    newest = json.loads(trail.call("audit", "list", "--format", "json", "--limit", "1")[0])[0]
    assert (newest["what"], newest["outcome"]) == ("registry.set_module", "invalid")


def test_the_trail_is_verified_here_from_what_a_server_says_or_from_a_file(trail: Trail) -> None:
    lines = trail.export()
    assert len(lines) == len(MODULES)
    out, err = trail.verify()
    assert HEAD.fullmatch(out)
    assert "4 entries, none changed or added, none missing before the last; keep this head elsewhere" in err
    assert trail.verify(str(trail.file))[0] == out
    trail.call("modules", "set", "dns_records", "--off")
    assert "those up to 4 are what was kept" in trail.verify("--head", out.strip())[1]
    assert trail.verify()[0] != out
    assert (
        "entry 5 is gone since the head was kept"
        in trail.verify(str(trail.file), "--head", trail.verify()[0].strip(), status=1)[1]
    )
    assert HEAD.fullmatch(trail.verify("--installation")[0])
    assert "a head is SEQUENCE:HASH" in trail.verify("--head", "4", status=2)[1]


def test_a_backup_has_the_trail_and_goes_on_with_it(trail: Trail, mirage: Mirage, tmp_path: Path) -> None:
    head = trail.verify()[0].strip()
    trail.call("backup", str(tmp_path / "backup.tar"))
    restored = ("--data", str(tmp_path / "restored"))
    for words in (("restore", str(tmp_path / "backup.tar")), ("modules", "set", "crtsh", "--on")):
        assert mirage(*words, *restored)[0] == 0
    code, out, _ = mirage("audit", "verify", "--head", head, *restored)
    assert (code, out.partition(":")[0]) == (0, "5")


TAMPERED: tuple[tuple[Callable[[list[bytes]], list[bytes]], str], ...] = (
    (lambda lines: [lines[0], lines[1].replace(b'"done"', b'"ok"'), *lines[2:]], "entry 2 (registry.set_module) is"),
    (lambda lines: [lines[0], *lines[2:]], "entry 2 is missing before entry 3"),
    (lambda lines: [lines[0], lines[1], lines[1], *lines[2:]], "entry 2 comes again after entry 2"),
    (lambda lines: [lines[1], lines[0], *lines[2:]], "entry 1 is missing before entry 2"),
    (lambda lines: [lines[0].replace(b'"at":', b'"at": '), *lines[1:]], "line 1 (entry 1) is not written as"),
    (lambda lines: [lines[0].replace(b"{", b'{"sequence":1,', 1), *lines[1:]], "line 1 (entry 1) is not written as"),
    (lambda lines: [lines[0].replace(b"{", b'{"more":1,', 1), *lines[1:]], "line 1 is no entry"),
    (lambda lines: [*lines, b"\n"], "line 5 is no entry"),
    (lambda lines: [*lines[:3], lines[3][:-9]], "line 4 is no entry"),
    (lambda lines: [*lines, b"[" * 200_000], "line 5 is no entry"),
    (lambda lines: [*lines, b"\xff\n"], "line 5 is no entry"),
)  # fmt: skip


def test_a_file_that_was_tampered_with_is_told_with_the_entry(trail: Trail) -> None:
    lines = trail.export()
    for tampered, said in TAMPERED:
        trail.file.write_bytes(b"".join(tampered(lines)))
        out, err = trail.verify(str(trail.file), status=1)
        assert said in err
        assert out == ""


@pytest.mark.parametrize(("text", "at"), [
    ("2026-12-31", "2026-12-31T00:00:00+00:00"), ("2026-12-31T18:00", "2026-12-31T18:00:00+00:00"),
    ("2026-12-31T18:00+02:00", "2026-12-31T16:00:00+00:00"), ("90m", "2026-06-01T10:30:00+00:00"),
    ("12h", "2026-06-01T00:00:00+00:00"), ("7d", "2026-05-25T12:00:00+00:00"),
    ("1900-01-01", "1970-01-01T00:00:00+00:00"),
])  # fmt: skip
def test_a_time_is_a_date_with_or_without_an_hour_or_so_long_ago(text: str, at: str) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert read_instant(text, now) == int(datetime.fromisoformat(at).timestamp()) * 1_000_000


@pytest.mark.parametrize("text", ["", "d", "7", "x7d", "7w", "friday", "2026-13-01", "99999999999999d", "\u0667d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is no time"):
        read_instant(text, datetime.now(UTC))
