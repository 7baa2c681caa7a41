"""`mirage report` and `mirage verify`: what is typed, what is said, and what they exit with."""

import json
from pathlib import Path

import click
import msgspec
import pytest

from services.cli.commands import report
from services.cli.reporting import format_of
from services.kernel.errors import Invalid
from tests.cli.conftest import Mirage
from tests.services.reporting.press import KEY, KID, WORKSPACE, Press, published


@pytest.fixture
async def bundle(tmp_path: Path) -> Path:
    press = await Press(tmp_path, 3).open()
    made = await press.bundle(await press.make("technical"), bodies=True)
    await press.close()
    file = tmp_path / "report.zip"
    file.write_bytes(made)
    return file


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_bytes(msgspec.json.encode({"keys": [published(KID, KEY)]}))
    return file


def test_a_bundle_that_holds_is_said_to_and_whose_key_it_is_by(mirage: Mirage, bundle: Path, key: Path) -> None:
    code, out, err = mirage("verify", str(bundle))
    assert (code, err) == (0, "")
    assert f"Signed by the workspace {WORKSPACE}, key {KID}" in out
    assert "That key came with the bundle" in out
    assert out.endswith("0 faults\n")
    code, out, _ = mirage("verify", str(bundle), "--key", str(key))
    assert code == 0
    assert "came with the bundle" not in out


def test_nobody_is_asked_and_no_data_folder_is_needed(
    mirage: Mirage, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRAGE_DATA", str(tmp_path / "none"))
    assert mirage("verify", str(bundle))[0] == 0
    assert not list((tmp_path / "none").glob("*.db"))


def test_what_was_altered_is_named_with_what_rests_on_it(mirage: Mirage, bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    at = content.index(b"bodies/") + len("bodies/") + 64
    content[at + 3] ^= 0x10
    bundle.write_bytes(content)
    code, out, _ = mirage("verify", str(bundle))
    assert code == 1
    assert "bodies/" in out
    assert "was altered\n    rests on it: " in out
    code, out, _ = mirage("verify", str(bundle), "--format", "json")
    (fault,) = json.loads(out)["faults"]
    assert code == 1
    assert fault["statements"]
    assert fault["statements"][0].keys() == {"section", "text", "findings"}


def test_what_is_no_bundle_is_refused_in_one_sentence(mirage: Mirage, tmp_path: Path, bundle: Path) -> None:
    other = tmp_path / "other.zip"
    other.write_bytes(b"PK\x05\x06" + bytes(18))
    for file, said in ((other, "there is no manifest.json in it"), (tmp_path / "absent", "cannot be read")):
        code, out, err = mirage("verify", str(file))
        assert code != 0
        assert out == ""
        assert said in err
        assert err.count("\n") == 1
    code, _, err = mirage("verify", str(bundle), "--key", str(other))
    assert code == 1
    assert "this file has no key" in err


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("last",), "make"),
        (("last", "--template", "technical"), "make"),
        (("--template", "technical", "last"), "make"),
        (("--data", "somewhere", "last"), "make"),
        (("list",), "list"),
        (("--data", "somewhere", "list"), "list"),
        (("show", "61f0"), "show"),
        (("key",), "key"),
    ],
)
def test_a_scan_that_is_named_is_one_to_make_a_report_of(words: tuple[str, ...], command: str) -> None:
    with click.Context(report.command, info_name="report") as context:
        rest = report.command.parse_args(context, list(words))
        name, _, _ = report.command.resolve_command(context, [*context._protected_args, *rest][:1] or rest)
    assert name == command


def test_the_help_of_reports_lists_what_else_there_is(mirage: Mirage) -> None:
    code, out, _ = mirage("report", "--help")
    assert code == 0
    for name in ("list", "show", "delete", "key"):
        assert f"\n  {name} " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("last", "--bodies"), "--bodies is about a bundle"),
        (("last", "--bundle", "--format", "pdf"), "a bundle has all forms"),
        (("last", "--as-of", "yesterday"), "neither a day nor a time"),
        (("last", "--template", "none"), "--template"),
    ],
)
def test_what_makes_no_sense_is_refused(mirage: Mirage, words: tuple[str, ...], said: str) -> None:
    code, _, err = mirage("report", *words)
    assert code == 2
    assert said in err


def test_a_format_is_the_one_that_is_said_or_that_the_file_ends_in() -> None:
    assert format_of("a.html", None) == "html"
    assert format_of("a.HTM", None) == "html"
    assert format_of("a.md", "pdf") == "pdf"
    assert format_of(None, None) == "pdf"
    assert format_of("a.txt", None) == "pdf"


def test_a_pdf_is_not_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(Invalid):
        format_of("-", None)
