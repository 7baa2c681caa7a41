"""What the claims of a scan rest on is altered nowhere unseen, and read again it gives the same claims."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli.claim_text import claim_words
from services.cli.commands.evidence import CLAIMS_SHOWN
from services.contracts.evidence import EvidenceRecord, merkle_root, seal
from tests.proof.processes import Lab, Mirage, copied_code

MODULES = ("crtsh", "hackertarget", "rapiddns", "whois", "rdap_domain", "dns_records", "web")
SCAN = (
    *("--profile", "deep", "--authorised", "the lab, for a proof", "--max-depth", "1"),
    *(argument for module in MODULES for argument in ("--module", module)),
)

LINES = """
SELECT result.module, claim.kind, claim.name, claim.value, claim.evidence, about.type, about.key,
       source.type, source.key, target.type, target.key, relation.qualifiers
FROM claim
JOIN result ON result.number = claim.result
LEFT JOIN entity AS about ON about.number = claim.about
LEFT JOIN relation ON relation.number = claim.about
LEFT JOIN entity AS source ON source.number = relation.source
LEFT JOIN entity AS target ON target.number = relation.target
"""


class Scanned:
    """A data folder with a finished scan that nobody has open, to look into and to damage."""

    def __init__(self, folder: Path) -> None:
        self.mirage = Mirage(folder)

    def query(self, file: str, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.mirage.folder / file)) as connection:
            rows = connection.execute(statement, values).fetchall()
            connection.commit()
            return rows

    def records(self) -> dict[bytes, EvidenceRecord]:
        rows = self.query("storage.db", "SELECT id, content FROM record")
        return {identity: msgspec.msgpack.decode(content, type=EvidenceRecord) for identity, content in rows}

    def rewrite(self, record: EvidenceRecord, **fields: object) -> None:
        """Let a record say something else, wherever it is kept."""
        content = msgspec.msgpack.encode(msgspec.structs.replace(record, **fields))
        self.query("storage.db", "UPDATE record SET content = ? WHERE id = ?", content, record.id)

    def resting_on(self, *ids: bytes) -> Counter[str]:
        """The claims that cite one of the records, as they are named."""
        lines: Counter[str] = Counter()
        for module, kind, name, value, evidence, *ends in self.query("storage.db", LINES):
            cited = {evidence[start : start + 32] for start in range(0, len(evidence), 32)}
            if cited & set(ids):
                lines[f"{module}: {line(kind, name, value, *ends)}"] += 1
        return lines

    def flip(self, digest: bytes) -> None:
        """Turn one bit of a body over, in the middle of what is kept of it."""
        [(segment, place, stored)] = self.query(
            "evidence/index.db", "SELECT segment, place, stored FROM blob WHERE digest = ?", digest
        )
        with (self.mirage.folder / "evidence" / f"{segment:08d}.seg").open("r+b") as file:
            file.seek(place + stored // 2)
            [byte] = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))

    def verify(self) -> list[tuple[str, str, Counter[str]]]:
        """The faults that are found, with the claims resting on them; as text the first ones are, and the code is 1."""
        written = self.mirage.run("evidence", "verify", "last", "--format", "json")
        faults = json.loads(written.stdout)["faults"]
        told = self.mirage.run("evidence", "verify", "last")
        assert written.returncode == told.returncode == bool(faults), written.stderr + told.stderr
        *lines, sums = told.stdout.splitlines()
        assert lines == [
            part
            for fault in faults
            for part in (
                f"{fault['fault']}: {fault['artefact']} {fault['request']}".rstrip(),
                *(resting_in_words(said, fault["fault"]) for said in fault["claims"][:CLAIMS_SHOWN]),
                *others_in_words(fault["claims"][CLAIMS_SHOWN:]),
            )
        ]
        assert sums.endswith(f", {len(faults)} fault{'s' * (len(faults) != 1)}")
        return [(fault["fault"], fault["artefact"], Counter(fault["claims"])) for fault in faults]


def resting_in_words(said: str, fault: str = "") -> str:
    module, _, claim = said.partition(": ")
    return f"    {'it says now' if fault == 'claim altered' else 'rests on it'}: {claim_words(claim)}  [{module}]"


def others_in_words(claims: Sequence[str]) -> list[str]:
    others = f"{len(claims):,} other claim{'s' * (len(claims) != 1)}"
    return [f"    and {others} (--format json has all)"] if claims else []


def line(kind: int, name: str, value: str, *ends: str | None) -> str:
    """A claim as one line, put together from the tables of storage."""
    about, source, target = [[of, *json.loads(key)] if key else None for of, key in (ends[:2], ends[2:4], ends[4:6])]
    said: tuple[object, ...]
    match kind:
        case 0:
            said = ("entity", about)
        case 1:
            said = ("relation", name, source, target, json.loads(ends[6] or "{}"))
        case 2:
            said = ("attribute", about, name, json.loads(value))
        case _:
            said = ("absence", about, name)
    return msgspec.json.encode(said).decode()


@pytest.fixture(scope="module")
def sound(running_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a small scan that asked in several ways."""
    running_lab.heal()
    mirage = Mirage(tmp_path_factory.mktemp("sound") / "data", running_lab)
    mirage.scan(*SCAN)
    return mirage.folder


@pytest.fixture
def scanned(sound: Path, tmp_path: Path) -> Scanned:
    shutil.copytree(sound, tmp_path / "data")
    return Scanned(tmp_path / "data")


def cited(scanned: Scanned, records: Sequence[EvidenceRecord]) -> list[EvidenceRecord]:
    """Those that claims rest on, the busiest first."""
    found = [(sum(scanned.resting_on(record.id).values()), record) for record in records]
    return [record for count, record in sorted(found, key=lambda each: -each[0]) if count]


def test_of_sound_evidence_everything_is_looked_at_and_nothing_is_said(scanned: Scanned) -> None:
    assert scanned.verify() == []
    records = scanned.records()
    counts = json.loads(scanned.mirage.output("evidence", "verify", "last", "--format", "json"))
    assert counts["records"] == len(records) > 50
    assert counts["blobs"] == sum(record.blob is not None for record in records.values()) > 50


@pytest.mark.parametrize("compressed", [True, False])
def test_one_bit_of_a_body_names_the_body_and_each_claim_that_rests_on_it(scanned: Scanned, compressed: bool) -> None:
    kept = {
        digest
        for (digest,) in scanned.query("evidence/index.db", "SELECT digest FROM blob WHERE compressed = ?", compressed)
    }
    records = scanned.records().values()
    body = cited(scanned, [record for record in records if record.blob in kept])[0].blob
    assert body is not None
    scanned.flip(body)
    resting = [("blob altered", body.hex(), scanned.resting_on(each.id)) for each in records if each.blob == body]
    assert in_any_order(scanned.verify()) == in_any_order(resting)


def test_a_body_that_is_gone_is_named_with_each_claim_that_rests_on_it(scanned: Scanned) -> None:
    records = scanned.records().values()
    body = cited(scanned, [record for record in records if record.protocol == "http"])[0].blob
    assert body is not None
    scanned.query("evidence/index.db", "DELETE FROM blob WHERE digest = ?", body)
    resting = [("blob missing", body.hex(), scanned.resting_on(each.id)) for each in records if each.blob == body]
    assert in_any_order(scanned.verify()) == in_any_order(resting)


def test_a_record_that_says_something_else_is_named_with_each_claim_that_rests_on_it(scanned: Scanned) -> None:
    changes = {
        "at": 1,
        "head": "HTTP/1.1 200 OK",
        "peer": "192.0.2.99:443",
        "request": "GET https://crt.sh/",
        "size": 1,
    }
    http = cited(scanned, [record for record in scanned.records().values() if record.protocol == "http"])
    altered = dict(zip(changes.items(), http, strict=False))
    for (field, value), record in altered.items():
        assert getattr(record, field) != value
        scanned.rewrite(record, **{field: value})
    resting = [("record altered", record.id.hex(), scanned.resting_on(record.id)) for record in altered.values()]
    assert in_any_order(scanned.verify()) == in_any_order(resting)


def test_a_record_that_is_none_any_more_is_named_with_each_claim_that_rests_on_it(scanned: Scanned) -> None:
    record = cited(scanned, list(scanned.records().values()))[0]
    scanned.query("storage.db", "UPDATE record SET content = x'00' WHERE id = ?", record.id)
    assert scanned.verify() == [("record altered", record.id.hex(), scanned.resting_on(record.id))]


def test_a_record_that_several_items_share_is_looked_at_in_each_of_them(scanned: Scanned) -> None:
    shared = scanned.query("storage.db", "SELECT id, MAX(result) FROM record GROUP BY id HAVING COUNT(*) > 1")
    identity, last = shared[0]
    record = msgspec.structs.replace(scanned.records()[identity], at=1)
    content = msgspec.msgpack.encode(record)
    scanned.query("storage.db", "UPDATE record SET content = ? WHERE id = ? AND result = ?", content, identity, last)
    assert scanned.verify() == [("record altered", identity.hex(), scanned.resting_on(identity))]


@pytest.mark.parametrize(("removed", "added"), [(1, 0), (0, 1), (1, 1), (2, 0)])
def test_records_that_are_not_those_of_the_scan_change_its_root(scanned: Scanned, removed: int, added: int) -> None:
    """And the claims that rest on what is not there any more are named, each once however much of it is gone."""
    root = scanned.mirage.last()["evidence_root"]
    gone = cited(scanned, list(scanned.records().values()))[:removed]
    if added:
        made_up = seal(EvidenceRecord(id=b"", protocol="http", request="GET https://crt.sh/made-up", key=b"", at=1))
        scanned.query(
            "storage.db",
            "INSERT INTO record SELECT workspace, scan, result, ?, NULL, ? FROM record LIMIT 1",
            made_up.id,
            msgspec.msgpack.encode(made_up),
        )
    resting = scanned.resting_on(*(record.id for record in gone))
    for record in gone:
        scanned.query("storage.db", "DELETE FROM record WHERE id = ?", record.id)
    assert scanned.verify() == [("root differs", root, resting)]


def test_the_root_of_a_finished_scan_is_that_of_its_records(scanned: Scanned) -> None:
    assert scanned.mirage.last()["evidence_root"] == merkle_root(sorted(scanned.records())).hex()


def test_a_claim_that_was_altered_is_named_with_what_it_says_now(scanned: Scanned) -> None:
    [(number, key)] = scanned.query("storage.db", "SELECT number, key FROM entity WHERE value LIKE 'www.%' LIMIT 1")
    altered = key.replace("www.", "evil.")
    scanned.query("storage.db", "UPDATE entity SET key = ? WHERE number = ?", altered, number)
    faults = scanned.verify()
    assert faults
    assert {kind for kind, _, _ in faults} == {"claim altered"}
    assert all("evil." in line for _, _, lines in faults for line in lines)
    [(claims,)] = scanned.query(
        "storage.db",
        "SELECT COUNT(*) FROM claim LEFT JOIN relation ON relation.number = claim.about"
        " WHERE claim.about = ? OR relation.source = ? OR relation.target = ?",
        *(number, number, number),
    )
    assert len(faults) == claims


def test_a_replay_over_altered_evidence_says_what_failed_and_how_to_check(scanned: Scanned) -> None:
    body = next(record.blob for record in cited(scanned, list(scanned.records().values())) if record.blob)
    scanned.flip(body)
    replayed = scanned.mirage.run("replay", "last")
    assert replayed.returncode == 1
    failed, check = replayed.stdout.splitlines()[-1].split("; check with: ")
    assert "failed, the first: Corrupt: the blob" in failed
    assert "evidence verify" in check


def in_any_order(faults: Sequence[tuple[str, str, Counter[str]]]) -> list[tuple[str, str, list[tuple[str, int]]]]:
    return sorted((fault, artefact, sorted(claims.items())) for fault, artefact, claims in faults)


# Other code on the same evidence

CLOCKWORK = '''"""Says when it was asked, by the only clock that a module has."""

from collections.abc import AsyncIterator, Iterator

from services.collector.context import Answer, Context
from services.collector.manifest import Manifest
from services.contracts.attributes import attribute
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="clockwork",
    version=1,
    title="Clockwork",
    activity="passive",
    source="https://example.org/",
    format="https://example.org/",
    consumes=("domain",),
    produces=("domain",),
    rate=0.0,
    licence="none",
)


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    yield Answer(at=ctx.now)


def parse(answer: Answer, seen: Entity) -> Iterator[Claim]:
    yield attribute(seen, "updated_at", answer.at)
'''
MANY = 2500
OTHERWISE = """

_read = parse


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    for claim in _read(answer, seen):
        if claim.value != {left_out!r}:
            yield claim
    for number in range({many}):
        yield entities.hostname(f"made-up-{{number}}.{{seen.value}}")
"""


class Changing:
    """A copy of Mirage's code, to be changed between commands."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.modules = folder / "code" / "services" / "collector" / "modules"
        self.mirage = Mirage(folder / "data", lab, **copied_code(folder / "code"))

    def read_otherwise(self, left_out: str, many: int) -> None:
        """Let crtsh leave a name out and make others up."""
        with (self.modules / "crtsh.py").open("a") as file:
            file.write(OTHERWISE.format(left_out=left_out, many=many))


@pytest.fixture
def changing(tmp_path: Path, lab: Lab) -> Changing:
    return Changing(tmp_path, lab)


def test_a_parser_that_reads_otherwise_is_told_claim_by_claim(changing: Changing, lab: Lab) -> None:
    mirage = changing.mirage
    mirage.scan("--module", "crtsh", "--module", "hackertarget")
    assert mirage.output("replay", "last").endswith(" claims, 0 differences\n")
    shown = mirage.canonical()
    changing.read_otherwise(f"www.{lab.target}", 2)
    replayed = mirage.run("replay", "last")
    *differences, sums = replayed.stdout.splitlines()
    assert any(line.startswith(f'["entity",["hostname","www.{lab.target}"]] crtsh@') for line in shown)
    assert differences == [
        f'- ["entity",["hostname","www.{lab.target}"]] [crtsh]',
        f'+ ["entity",["hostname","made-up-0.{lab.target}"]] [crtsh]',
        f'+ ["entity",["hostname","made-up-1.{lab.target}"]] [crtsh]',
    ]
    assert sums.startswith("2 items replayed, ")
    assert sums.endswith(" claims, 3 differences")
    assert replayed.returncode == 1
    written = mirage.run("replay", "last", "--format", "json")
    assert written.returncode == 1
    assert [
        f"{each['sign']} {each['line']} [{each['module']}]" for each in json.loads(written.stdout)["differences"]
    ] == differences
    assert mirage.canonical() == shown, "what is stored stays as it was"


def test_what_a_module_says_of_the_time_is_the_same_in_a_replay(changing: Changing) -> None:
    (changing.modules / "clockwork.py").write_text(CLOCKWORK)
    changing.mirage.scan("--module", "clockwork")
    assert any('"updated_at"' in said for said in changing.mirage.canonical())
    assert changing.mirage.output("replay", "last") == "1 item replayed, 1 claim, 0 differences\n"


def test_every_claim_that_rests_on_a_fault_is_named_however_many_there_are(changing: Changing) -> None:
    changing.read_otherwise("", MANY)
    changing.mirage.scan("--module", "crtsh")
    scanned = Scanned(changing.mirage.folder)
    (record,) = scanned.records().values()
    assert record.blob is not None
    scanned.flip(record.blob)
    resting = scanned.resting_on(record.id)
    assert sum(resting.values()) > MANY
    assert scanned.verify() == [("blob altered", record.blob.hex(), resting)]
