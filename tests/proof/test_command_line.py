"""What a person meets at the command line: exit codes, interruption, other processes, one sentence when it fails."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

import pytest

from tests.proof.moments import look
from tests.proof.processes import WAIT, Lab, Mirage, ended, until

FEW = ("--module", "crtsh", "--module", "hackertarget")
#: Seconds in which a command that waits for nothing has said why, on a machine that does other things, too.
AT_ONCE = 10.0
OUT_OF_SCOPE = "left.halyard-freight.example"
#: Tables of messages that were sent and heard, which say nothing of what is in them, and of counts in several parts.
BOOKKEEPING = {"schema_version", "inbox", "outbox", "sqlite_sequence", "sqlite_stat1", "kept"}
#: Asks sources, the resolver and the target, and is over in a second or two.
MIXED = (
    *("--profile", "deep", "--authorised", "the lab, for a proof", "--exclude-scope", "*.apps.halyard-freight.example"),
    *(
        argument
        for module in ("crtsh", "anubis", "dns_records", "reverse_dns", "web")
        for argument in ("--module", module)
    ),
)


def one_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """What a failed command says: one line, from whom; never a traceback."""
    assert not done.stdout
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("mirage: "), sentence
    return sentence


def print_to(out: IO[str], mirage: Mirage, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command, variables = mirage.command(*arguments), mirage._environment
    return subprocess.run(
        command, env=variables, stdout=out, stderr=subprocess.PIPE, text=True, timeout=WAIT, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("scan", "nothing"), 2, "no target by its form"),
        (("scan", "nobody"), 2, "--type username"),
        (("scan", "203.0.113.0/99"), 2, "203.0.113.0/99"),
        (("scan", "example.org", "--wordlist", "missing.txt"), 2, "missing.txt"),
        (("scan", "missing-targets.txt"), 2, "missing-targets.txt"),
        (("scan", "example.org", "--module", "nosuchmodule"), 2, "nosuchmodule"),
        (("scan",), 2, "TARGETS"),
        (("scan", "example.org", "--fromat", "json"), 2, "did you mean '--format'"),
        (("scan", "example.org", "--max-items", "0"), 2, "see: mirage scan --help"),
        (("scna", "example.org"), 2, "did you mean scan"),
        (("scans", "lsit"), 2, "no such command 'lsit'"),
        (("scans", "show", "last"), 1, "there is no scan yet in the workspace default"),
        (("scans", "list", "--workspace", ""), 2, "'--workspace': it is empty"),
        (("show", "example.org", "--type", "nosuchtype"), 2, "no type of entity 'nosuchtype'"),
        (("show", "example.org"), 1, "see: ./mirage why-not example.org"),
        (("export", "0123abcd"), 1, "0123abcd"),
        (
            ("export", "last", "--canonical", "--format", "hosts"),
            2,
            "--canonical is written as jsonl or json, not as hosts",
        ),
        (("export", "last", "--output", "/nowhere/out.csv"), 2, "/nowhere/out.csv cannot be written"),
        (("scan", "example.org", "--output", "out"), 2, "nothing says what to write to out: say --format"),
        (("scan", "example.org", "--output", "out.txt", "--format", "summary"), 2, "a summary goes to standard output"),
        (("modules", "show", "nosuchmodule"), 1, "nosuchmodule"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = Mirage(tmp_path / "data").run(*arguments)
    assert said in one_sentence(done)
    assert done.returncode == code


@pytest.mark.parametrize(
    "arguments",
    [("modules", "list"), ("modules", "list", "--format", "json"), ("modules", "show", "crtsh"), ("scan", "--help")],
    ids="-".join,
)
def test_a_reader_that_has_had_enough_ends_a_command_without_a_word(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        done = print_to(out, Mirage(tmp_path / "data"), *arguments)
    assert (done.stderr, done.returncode) == ("", 128 + signal.SIGPIPE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_an_output_that_is_full_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as out:
        done = print_to(out, Mirage(tmp_path / "data"), "modules", "list")
    assert done.stderr.splitlines() == ["mirage: the output cannot be written: No space left on device"]
    assert done.returncode == 1


@pytest.mark.parametrize("words", ["settings list", "modules list", "scan --help", "export last"])
def test_a_standard_output_that_is_closed_is_one_sentence(mirage: Mirage, words: str) -> None:
    done = mirage.run(*words.split(), before=("sh", "-c", 'exec "$@" >&-', "sh"))
    if words == "export last":
        assert "there is no scan yet" in one_sentence(done)
    else:
        assert one_sentence(done) == "mirage: the output cannot be written: it is closed"
    assert done.returncode == 1


def test_a_scan_needs_no_standard_streams_where_it_writes_to_a_file(mirage: Mirage, tmp_path: Path) -> None:
    file = tmp_path / "hosts.txt"
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    done = mirage.run(*mirage.scan_arguments(*FEW, "--output", str(file)), before=closed)
    assert done.returncode == 0
    assert all(line.endswith("\tnot-asked") for line in file.read_text().splitlines())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_what_cannot_be_written_out_is_kept_and_how_to_write_it_again_is_said(mirage: Mirage) -> None:
    to_full = ("--format", "csv", "--all", "--output", "/dev/full")
    done = mirage.run(*mirage.scan_arguments(*FEW), *to_full)
    short = mirage.last()["id"][:8]
    for each in (done, mirage.run("export", "last", *to_full)):
        assert each.returncode == 1
        assert one_sentence(each) == (
            f"mirage: /dev/full cannot be written: No space left on device; scan {short} is kept, write it out again"
            f" with: ./mirage export {short} --format csv --all --output FILE --data {mirage.folder}"
        )
    with Path("/dev/full").open("w") as out:
        done = print_to(out, mirage, "export", "last")
    assert f"the output cannot be written: No space left on device; scan {short} is kept" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("verb", ["scan", "export"])
def test_the_ending_of_a_file_says_what_is_written_to_it(mirage: Mirage, tmp_path: Path, verb: str) -> None:
    arguments = mirage.scan_arguments(*FEW) if verb == "scan" else ("export", mirage.scan(*FEW))
    beginnings = {"json": "[", "jsonl": '{"layer":', "csv": "type,value,", "txt": ""}
    for ending, beginning in beginnings.items():
        file = tmp_path / f"found.{ending}"
        mirage.output(*arguments, "--output", str(file))
        assert file.read_text().startswith(beginning), ending
    assert (tmp_path / "found.txt").read_text().endswith("\tnot-asked\n")


def test_a_data_folder_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "format").write_text("99\n")
    done = Mirage(folder).run("scans", "list")
    assert done.returncode == 1
    assert "99" in one_sentence(done)
    assert {file.name for file in folder.iterdir()} <= {"format", "lock"}


@pytest.fixture(scope="module")
def folder_of_another_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a scan, made where a migration of storage had another text."""
    folder = tmp_path_factory.mktemp("another-build") / "data"
    Mirage(folder).output("scan", "example.org", "--module", "crtsh", "--quiet")
    with closing(sqlite3.connect(folder / "storage.db")) as storage:
        storage.execute("UPDATE schema_version SET digest = '0011223344556677' WHERE version = 1")
        storage.commit()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        *("scan example.net", "scan example.net --dry-run", "scans list", "scans show last", "scans watch last"),
        *("scans resume last", "scans delete last", "export last", "show example.org", "why-not example.org"),
        *(
            "diff last last",
            "evidence verify last",
            "replay last",
            "modules list",
            "keys list",
            "up --listen 127.0.0.1:0",
        ),
    ],
)
def test_a_data_folder_of_another_build_is_refused_by_every_command_at_once(
    folder_of_another_build: Path, words: str
) -> None:
    before = time.monotonic()
    done = Mirage(folder_of_another_build).run(*words.split())
    assert time.monotonic() - before < AT_ONCE
    assert done.returncode == 1
    assert one_sentence(done) == f"mirage: {another_build(folder_of_another_build)}"


def test_doctor_counts_a_data_folder_of_another_build_among_its_faults(folder_of_another_build: Path) -> None:
    done = Mirage(folder_of_another_build).run("doctor", "--format", "json")
    assert (done.returncode, done.stderr) == (1, "")
    faults = [(check["check"], check["says"]) for check in json.loads(done.stdout) if not check["ok"]]
    assert ("data folder", another_build(folder_of_another_build)) in faults


def another_build(folder: Path) -> str:
    return (
        f"{folder / 'storage.db'} was made by another build of Mirage, whose schema version 1 is not this one's:"
        " use that build, or name another folder with --data"
    )


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file\n")
    done = Mirage(tmp_path / "data").run("scans", "list")
    assert done.returncode == 2
    assert "cannot be used" in one_sentence(done)


def test_a_way_out_that_is_not_set_up_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    done = Mirage(tmp_path / "data", MIRAGE_DIAL_TABLE=str(tmp_path / "missing.json")).run("scan", "example.org")
    assert done.returncode == 2
    assert "missing.json" in one_sentence(done)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the profile passive guesses no names"),
        (("--profile", "standard"), "the profile standard guesses no names"),
        (("--profile", "deep", "--exclude", "brute"), "brute is left out"),
        (("--profile", "deep"), ""),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_a_word_list_that_nobody_reads_is_said_so(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "words").write_text("www\n")
    words = ("--wordlist", str(tmp_path / "words"))
    done = Mirage(tmp_path / "data").run("scan", "example.org", "--dry-run", *words, *arguments)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert len(lines) == bool(said)
    assert all(line.startswith(f"mirage: the word list is not used: {said}") for line in lines)


def test_a_source_that_could_not_be_asked_is_named_and_counts_when_strict(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "forbidden")
    assert mirage.run(*mirage.scan_arguments(*FEW)).returncode == 0
    done = mirage.run("scan", lab.target, "--resolver", lab.resolver, *FEW, "--format", "hosts", "--strict")
    assert "hackertarget blocked" in done.stderr
    assert done.returncode == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("www.example.org",), "Nobody was asked: no source of the profile passive takes such a target"),
        (("www.example.org", "--module", "crtsh"), "Nobody was asked: of its sources (crtsh) none takes such a target"),
        (("example.org", "--profile", "deep", "--module", "crypto"), "nobody authorised it (--authorised"),
    ],
    ids=["nobody", "module", "unauthorised"],
)
def test_a_scan_that_left_something_out_says_so(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = Mirage(tmp_path / "data").run("scan", *arguments, "--quiet")
    assert said in done.stdout
    assert done.returncode == 0


def test_a_target_that_nobody_takes_is_said_beforehand_and_is_no_strict_success(tmp_path: Path) -> None:
    sentence = (
        "mirage: nobody is asked about www.example.org: no source of the profile passive takes host names;"
        " try --profile standard or the domain example.org as the target\n"
    )
    for arguments, code in (("--dry-run",), 0), (("--quiet",), 0), (("--quiet", "--strict"), 4):
        done = Mirage(tmp_path / "data").run("scan", "www.example.org", *arguments)
        assert (done.stderr, done.returncode) == (sentence, code)


def test_a_dry_run_refuses_what_the_scan_refuses(tmp_path: Path) -> None:
    words = ("scan", "example.org", "--module", "web")
    dry, wet = (Mirage(tmp_path / "data").run(*words, *more) for more in (("--dry-run",), ()))
    assert one_sentence(dry) == one_sentence(wet)
    assert (dry.returncode, wet.returncode) == (2, 2)


def test_a_source_that_says_later_is_asked_later_and_once(mirage: Mirage, lab: Lab) -> None:
    lab.fault("urlscan", "rate_limited", times=1)
    mirage.scan("--module", "urlscan")
    assert states(mirage)["urlscan"] == "answered"
    asked = lab.requests()
    refused = mirage.run("scans", "retry", "last")
    assert "there is nothing to ask again" in one_sentence(refused)
    assert lab.requests() == asked
    assert " 0 differences" in mirage.output("replay", "last")


def test_a_source_that_says_much_later_is_left_alone_and_says_for_how_long(mirage: Mirage, lab: Lab) -> None:
    lab.fault("urlscan", "rate_limited", retry_after=7200)
    mirage.scan("--module", "urlscan")
    assert states(mirage)["urlscan"] == "rate_limited"
    lab.heal()
    asked = lab.requests()
    mirage.output("scans", "retry", "last")
    (source,) = (source for source in mirage.last()["sources"] if source["module"] == "urlscan")
    assert source["state"] == "rate_limited"
    assert source["reason"] == "the source wants to be left alone for another 60 min"
    assert lab.requests() == asked


def states(mirage: Mirage) -> dict[str, str]:
    return {source["module"]: source["state"] for source in mirage.last()["sources"]}


def test_standard_output_has_the_export_and_nothing_else(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "forbidden")
    arguments = ("scan", lab.target, "--resolver", lab.resolver, *FEW, "--json-progress", "--output", "-")
    for line in mirage.output(*arguments, "--format", "jsonl").splitlines():
        assert json.loads(line)["layer"] in {"entity", "relation"}
    done = mirage.run(*arguments, "--format", "hosts")
    lines = done.stdout.splitlines()
    assert len(lines) > 5
    assert all(line.split("\t") == [line.split("\t")[0], "not-asked"] for line in lines)
    progress = [line for line in done.stderr.splitlines() if line.startswith("{")]
    assert json.loads(progress[-1])["state"] == "finished"


def test_why_not_names_the_scan_and_tells_out_of_scope_from_never_seen(mirage: Mirage, lab: Lab) -> None:
    scan = mirage.scan("--module", "crtsh", "--exclude-scope", f"left.{lab.target}")
    reasons = {
        f"nobody.{lab.target}": "it is in scope and was never seen",
        f"www.left.{lab.target}": "it was ruled out of the scope",
        "www.elsewhere.example": "it is out of scope",
    }
    for name, reason in reasons.items():
        first, second = mirage.output("why-not", name).splitlines()
        assert first.startswith(f"Scan {scan[:8]} of {lab.target}")
        assert second.startswith(f"{name} was not taken into the scan: {reason}")


@pytest.fixture(scope="module")
def explained(running_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Mirage:
    """A finished scan that guessed by a short list, with a source that refused."""
    folder = tmp_path_factory.mktemp("explained")
    (folder / "words").write_text("www\nnobody\n")
    mirage = Mirage(folder / "data", running_lab)
    running_lab.heal()
    running_lab.fault("anubis", "forbidden")
    sources = ("crtsh", "rapiddns", "anubis", "dns_records", "brute")
    chosen = [argument for module in sources for argument in ("--module", module)]
    mirage.scan("--profile", "deep", "--wordlist", str(folder / "words"), "--exclude-scope", OUT_OF_SCOPE, *chosen)
    running_lab.heal()
    return mirage


def named_by_a_source(mirage: Mirage, names: Iterable[str]) -> str:
    """The first of some names that the scan took in."""
    taken = {line.split("\t")[0] for line in mirage.output("export", "last", "--all").splitlines()}
    return next(name for name in names if name in taken)


def explanation(mirage: Mirage, name: str) -> tuple[str, list[str]]:
    """What `why-not` says on a name's own line, and after it; all evidence that it cites is there."""
    _, own, *more = mirage.output("why-not", name).splitlines()
    assert own.startswith(f"{name} ")
    for cited in re.findall(r"\(evidence ([0-9a-f ]+)\)", "\n".join(more)):
        for record in cited.split():
            assert f"record    {record}" in mirage.output("evidence", "show", record)
    return own, more


def test_why_not_calls_a_member_of_a_wildcard_so_with_the_evidence(explained: Mirage, lab: Lab) -> None:
    members = [member for wildcard in lab.truth()["wildcards"] for member in wildcard["members"]]
    _, said = explanation(explained, named_by_a_source(explained, members))
    assert any(line.startswith("wildcard: its answer is what any name beside it gets (evidence ") for line in said)


def test_why_not_calls_a_name_that_is_gone_stale_with_the_evidence(explained: Mirage, lab: Lab) -> None:
    gone = [stale["name"] for stale in lab.truth()["stale"] if stale["answer"] == "nxdomain"]
    _, said = explanation(explained, named_by_a_source(explained, gone))
    assert any(line.startswith("stale: DNS says NXDOMAIN (evidence ") for line in said)


def test_why_not_cites_what_a_guess_was_told(explained: Mirage, lab: Lab) -> None:
    own, said = explanation(explained, f"nobody.{lab.target}")
    assert "no source that answered named it, and no guess found it" in own
    assert any(line.startswith("brute asked for it and was told NXDOMAIN") and "(evidence " in line for line in said)


def test_why_not_says_when_a_name_was_not_among_the_guesses(explained: Mirage, lab: Lab) -> None:
    _, said = explanation(explained, f"neverguessed.{lab.target}")
    (guessed,) = [line for line in said if line.startswith("not among the guesses: ")]
    assert guessed.endswith(f"brute tried 2 names below {lab.target}, not this one; its word is not in the list.")


def test_why_not_names_who_gave_no_answer_with_the_evidence(explained: Mirage, lab: Lab) -> None:
    own, said = explanation(explained, f"neverguessed.{lab.target}")
    assert "no answer: anubis (blocked)" in own
    (silent,) = [line for line in said if line.startswith("no answer: ")]
    assert silent.startswith(f"no answer: anubis about {lab.target} (blocked: status 403) (evidence ")


def test_why_not_says_what_is_out_of_scope(explained: Mirage) -> None:
    assert explanation(explained, "www.elsewhere.example")[0].endswith(
        "it is out of scope, and nothing that was found led to it."
    )
    assert explanation(explained, OUT_OF_SCOPE)[0].endswith("it was ruled out of the scope.")


def test_a_scan_that_came_to_its_number_of_items_is_not_to_be_resumed(mirage: Mirage) -> None:
    done = mirage.run(*mirage.scan_arguments("--max-items", "5"))
    assert done.returncode == 3
    assert "a new scan with a larger limit finds more" in done.stderr
    assert "scans resume" not in done.stderr
    assert mirage.last()["resumable"] is False


def test_a_dry_run_is_written_where_it_is_asked_for(mirage: Mirage, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    dry = ("scan", "https://192.0.2.1/", "--dry-run")
    done = mirage.run(*dry, "--output", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    asked = {module["id"]: module["requests"] for module in json.loads(file.read_text())["modules"]}
    assert asked["cymru"] > 0, "the host of a URL is asked about at once"
    assert mirage.run(*dry, "--format", "csv").returncode == 2


def test_doctor_names_what_is_damaged_or_missing(mirage: Mirage) -> None:
    mirage.scan("--module", "crtsh", "--module", "hackertarget")
    assert mirage.run("doctor").returncode == 0
    (segment,) = (mirage.folder / "evidence").glob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-1])
    done = mirage.run("doctor")
    assert (done.returncode, f"missing or cut off: {segment.name}" in done.stdout) == (1, True)
    database = mirage.folder / "registry.db"
    whole = bytearray(database.read_bytes())
    whole[4096 : 3 * 4096] = bytes(2 * 4096)
    database.write_bytes(whole)
    done = mirage.run("doctor")
    assert done.returncode == 1
    assert "registry.db: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        (("--timeout", "1"), "the time limit of 1 s was reached, which left out"),
        (("--max-items", "20"), "the limit of 20 work items was reached, which left out"),
    ],
    ids=["timeout", "max-items"],
)
def test_why_not_says_what_a_limit_kept_from_being_asked(
    mirage: Mirage, lab: Lab, arguments: tuple[str, ...], limit: str
) -> None:
    if "--timeout" in arguments:
        lab.fault("hackertarget", "hang")
    assert mirage.run(*mirage.scan_arguments("--profile", "standard", *arguments)).returncode == 3
    own, _ = explanation(mirage, f"neverguessed.{lab.target}")
    assert f"it is in scope: not asked: {limit}" in own
    assert "never seen" not in own


def test_a_deleted_scan_leaves_nothing_on_disk_when_the_command_ends(mirage: Mirage, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("www\nmail\n")
    deep = ("--profile", "deep", "--module", "brute", "--wordlist", str(tmp_path / "words"))
    scans = [mirage.scan(*FEW, *deep, "--module", "dns_records") for _ in range(2)]
    for scan in scans:
        assert rows_left(mirage.folder)["collector.upload"] == 1
        assert mirage.output("scans", "delete", scan) == f"Scan {scan[:8]} is deleted.\n"
    # What a source was asked today was asked, and counts against its quota.
    # The index of search, too, was there before and is there for the next scan.
    # So were the items that were handed out today; how much is kept is counted in rows that stay, and is nothing.
    # What the workspace may use is not of a scan.
    tombstones = {
        "storage.search_index": 1, "storage.scan": 2, "collector.tombstone": 2, "collector.quota": 1,
        "scans.handed_out": 2, "scans.known_quota": 1,
    }  # fmt: skip
    with closing(sqlite3.connect(mirage.folder / "collector.db")) as opened:
        assert opened.execute("SELECT SUM(bytes) FROM kept").fetchone() == (0,)
    assert rows_left(mirage.folder) == tombstones
    assert [file.name for file in (mirage.folder / "evidence").glob("*.seg") if file.stat().st_size] == []


def test_a_running_scan_is_deleted_only_by_force_and_its_terminal_says_so(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang")
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as scanning:
        until(lambda: look(mirage.folder).exchanges)
        refused = mirage.run("scans", "delete", "last")
        assert refused.returncode == 1
        assert "the scan is running; stop it first with: ./mirage scans stop" in one_sentence(refused)
        assert "deleted" in mirage.output("scans", "delete", "last", "--force")
        assert scanning.wait(WAIT) == 3
    assert scanning.err.read_text() == "mirage: the scan was deleted\n"  # type: ignore[attr-defined]


def rows_left(folder: Path) -> Counter[str]:
    """Rows by table of what services keep of scans, where there are any."""
    left: Counter[str] = Counter()
    for name in ("scans", "storage", "collector", "evidence/index"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as opened:
            tables = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                if table not in BOOKKEEPING:
                    left[f"{name}.{table}"] = opened.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    return +left


def test_a_backup_and_what_is_restored_from_it_say_that_keys_are_missing(tmp_path: Path) -> None:
    mirage, other = Mirage(tmp_path / "data"), Mirage(tmp_path / "other")
    mirage.output("modules", "list")
    assert "name one" in one_sentence(mirage.run("backup", "-", before=("env", "-C", str(tmp_path))))
    assert not (tmp_path / "-").exists()
    file = str(tmp_path / "backup")
    for each, verb in ((mirage, "backup"), (other, "restore")):
        assert f"./mirage keys set NAME --data {each.folder}\n" in each.output(verb, file)


def test_a_scan_that_reached_a_limit_has_partial_results_and_code_3(mirage: Mirage, lab: Lab) -> None:
    done = mirage.run(*mirage.scan_arguments(*FEW, "--max-items", "1"))
    assert done.returncode == 3
    assert "incomplete" in done.stdout


def test_a_scan_that_was_stopped_has_code_3_too(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang")
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as scanning:
        until(lambda: look(mirage.folder).exchanges)
        assert "stopped" in mirage.output("scans", "stop", "last")
        assert scanning.wait(WAIT) == 3


def test_ctrl_c_pauses_and_says_how_to_go_on_and_what_goes_on_claims_the_same(
    tmp_path: Path, mirage: Mirage, lab: Lab
) -> None:
    calm = Mirage(tmp_path / "calm", lab)
    calm.scan(*MIXED)

    lab.fault("anubis", "hang", times=1)
    with ended(mirage.start(*mirage.scan_arguments(*MIXED))) as scanning:
        until(lambda: look(mirage.folder).exchanges > 20)
        scanning.send_signal(signal.SIGINT)
        assert scanning.wait(WAIT) == 3
    said = scanning.err.read_text()  # type: ignore[attr-defined]
    assert "Traceback" not in said
    scan = mirage.last()
    assert scan["state"] == "paused"
    assert f"mirage scans resume {scan['id'][:8]}" in said

    with ended(mirage.start("scans", "resume", "last")) as scanning:
        assert scanning.wait(WAIT) == 0
    assert mirage.last()["state"] == "finished"
    assert mirage.canonical() == calm.canonical()


def test_ctrl_c_pauses_a_scan_that_was_taken_up_too(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang")
    for arguments in (mirage.scan_arguments(*FEW), ("scans", "resume", "last")):
        with ended(mirage.start(*arguments)) as scanning:
            until(lambda: look(mirage.folder).exchanges and scanning.poll() is None)
            until(lambda: mirage.last()["state"] == "running")
            scanning.send_signal(signal.SIGINT)
            assert scanning.wait(WAIT) == 3
        said = scanning.err.read_text() + scanning.out.read_text()  # type: ignore[attr-defined]
        assert "mirage scans resume" in said


def test_another_process_follows_a_scan_and_takes_it_over_when_the_first_is_killed(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang", times=1)
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as first:
        until(lambda: look(mirage.folder).exchanges)
        with ended(mirage.start("scans", "watch", "last", "--json-progress")) as second:
            until(lambda: '"running"' in second.err.read_text())  # type: ignore[attr-defined]
            first.kill()
            first.wait()
            assert second.wait(WAIT) == 0
    assert "finished" in second.out.read_text()  # type: ignore[attr-defined]
    assert "Traceback" not in second.err.read_text()  # type: ignore[attr-defined]


def test_ctrl_c_on_a_watched_scan_leaves_it_running_where_it_runs(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "slow", seconds=6, times=1)
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as first:
        until(lambda: look(mirage.folder).exchanges)
        with ended(mirage.start("scans", "watch", "last", "--json-progress")) as second:
            until(lambda: '"running"' in second.err.read_text())  # type: ignore[attr-defined]
            second.send_signal(signal.SIGINT)
            assert second.wait(WAIT) == 3
        assert first.poll() is None
        assert first.wait(WAIT) == 0


def test_a_scan_whose_process_was_killed_goes_on_when_it_is_resumed(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang", times=1)
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as scanning:
        until(lambda: look(mirage.folder).exchanges)
        scanning.kill()
    with ended(mirage.start("scans", "resume", "last")) as scanning:
        assert scanning.wait(WAIT) == 0
    assert mirage.last()["state"] == "finished"


def test_a_scan_whose_process_was_killed_is_shown_as_interrupted_and_how_it_goes_on(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang")
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as scanning:
        until(lambda: look(mirage.folder).exchanges)
        alive = [mirage.last(), *json.loads(mirage.output("scans", "list", "--format", "json"))]
        assert [(scan["state"], scan["interrupted"]) for scan in alive] == [("running", False)] * 2
        assert "interrupted" not in mirage.output("scans", "list") + mirage.output("scans", "show", "last")
        scanning.kill()
        scanning.wait()
    dead = [mirage.last(), *json.loads(mirage.output("scans", "list", "--format", "json"))]
    assert [(scan["state"], scan["interrupted"]) for scan in dead] == [("running", True)] * 2
    for verb, named in (("list", "ID"), ("show", dead[0]["id"][:8])):
        said = mirage.output("scans", verb, *(("last",) if verb == "show" else ()))
        assert "interrupted" in said
        assert f"./mirage scans resume {named} --data {mirage.folder}" in said
        assert "running" not in said


def test_who_only_looks_at_a_killed_scan_asks_no_source(mirage: Mirage, lab: Lab) -> None:
    lab.fault("hackertarget", "hang")
    with ended(mirage.start(*mirage.scan_arguments(*FEW))) as scanning:
        until(lambda: look(mirage.folder).exchanges)
        scanning.kill()
        scanning.wait()
    lab.heal()
    lab.quiet()
    asked, counts = lab.requests(), lab.counts()
    for words in (
        *("scans list", "scans show last", "export last", f"show {lab.target}", f"why-not {lab.target}", "doctor"),
        *("modules list", "evidence verify last", "replay last", "scans pause last", "scans stop last"),
    ):
        done = mirage.run(*words.split())
        assert (words, done.returncode, done.stderr) == (words, 0, "")
        assert (words, lab.requests(), lab.counts()) == (words, asked, counts)
    mirage.output("scans", "resume", "last")
    assert mirage.last()["state"] == "finished"
    assert lab.requests() != asked


def test_commands_at_the_same_time_do_not_fail_each_other(mirage: Mirage) -> None:
    """One of them owns the folder while it runs and answers the others; when it ends another one does."""
    with ExitStack() as stack:
        running = [stack.enter_context(ended(mirage.start("scans", "list"))) for _ in range(4)]
        assert [process.wait(WAIT) for process in running] == [0] * 4
