"""A bundle is checked without asking anybody: whatever byte of it is another than was signed is found, and named."""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from services.cli.bundle_archive import BundleArchive
from services.cli.verifying import Checked, Fault, key_of, verify_bundle
from services.contracts import bundles
from services.contracts.bundles import Manifest, ReportStatement
from services.kernel.errors import Corrupt, MirageError
from services.kernel.principals import private_key
from services.kernel.signatures import sign
from services.reporting.usecases.bundling import Archive
from tests.services.reporting.press import KEY, KID, SCAN, WORKSPACE, Press, published

OTHER = private_key(bytes(range(1, 33)))


def checked(content: bytes, keys: Any = None) -> Checked:
    return verify_bundle(io.BytesIO(content), keys)


def members_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def packed(members: dict[str, bytes]) -> bytes:
    """An archive as bundles are, of these members."""
    file = io.BytesIO()
    archive = Archive(file)
    archive.close(*members.items())
    return file.getvalue()


async def altered(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same bundle with another member, and a directory that knows it."""
    members = members_of(content)
    members[name] = change(members[name])
    return await packed(members)


def flipped(content: bytes, at: int, bit: int = 0) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


async def made(press: Press, template: str = "technical", *, bodies: bool = True) -> bytes:
    return await press.bundle(await press.make(template), bodies=bodies)


def texts(fault: Fault) -> list[str]:
    return [f"{said.section}: {said.text}" for said in fault.statements]


@pytest.mark.parametrize("template", ["executive", "technical", "evidence"])
async def test_a_bundle_holds_as_it_was_made(press: Press, template: str) -> None:
    press.authorise()
    content = await made(press, template)
    found = checked(content, [published(KID, KEY)])
    assert found.faults == ()
    assert (found.known, found.key) == (True, KID)
    assert (found.records, found.bodies) == (len(press.records), len(press.bodies))
    assert found.statements > len(press.views)
    assert (found.manifest.scan, found.manifest.evidence_root) == (SCAN, press.scan.evidence_root)
    members = members_of(content)
    assert members["report.pdf"].startswith(b"%PDF")
    assert [view["finding"]["id"] for view in msgspec.json.decode(members["findings.json"])] == [
        str(view.finding.id) for view in press.views
    ]
    facts = [msgspec.json.decode(line) for line in members["facts.jsonl"].splitlines()]
    assert {fact["id"] for fact in facts if fact["layer"] == "entity"} == {host.id.hex() for host in press.hosts}
    assert sum(fact["layer"] == "relation" for fact in facts) == len(press.hosts)
    assert "authorisation.jws" in members


async def test_a_bundle_has_the_same_bytes_each_time(press: Press) -> None:
    assert await made(press) == await made(press)


async def test_without_bodies_there_are_their_digests_alone(press: Press) -> None:
    found = checked(await made(press, bodies=False))
    assert (found.bodies, found.records, found.faults) == (0, len(press.records), ())
    assert not found.known


async def test_what_was_kept_no_more_is_said_by_the_bundle_itself(press: Press) -> None:
    gone, lost = press.records.pop(0), press.records[0]
    assert lost.blob is not None
    del press.bodies[lost.blob.hex()]
    found = checked(await made(press))
    assert set(found.manifest.absent) == {gone.id.hex(), lost.blob.hex()}
    assert found.faults == ()


async def test_a_body_that_was_altered_is_named_with_the_statements_resting_on_it(press: Press) -> None:
    content = await made(press)
    name = next(name for name in members_of(content) if name.startswith("bodies/"))
    (fault,) = checked(await altered(content, name, lambda body: flipped(body, 7))).faults
    assert fault.what == f"{name} was altered"
    record = next(each for each in press.records if each.blob and each.blob.hex() == name.removeprefix("bodies/"))
    resting = [v for v in press.views if any(record.id.hex() in ground.evidence for ground in v.grounds)]
    assert {finding for said in fault.statements for finding in said.findings} >= {v.finding.id for v in resting}
    assert any(resting[0].finding.title in text for text in texts(fault))
    other = next(view for view in press.views if view not in resting)
    alone = [said for said in fault.statements if said.findings == (other.finding.id,)]
    assert alone == [], "what rests on other evidence is not named"


async def test_a_record_that_was_altered_is_named_with_the_statements_resting_on_it(press: Press) -> None:
    content = await made(press)
    victim = press.records[3]

    def change(lines: bytes) -> bytes:
        return lines.replace(victim.request.encode(), victim.request.replace("GET", "PUT").encode())

    faults = checked(await altered(content, bundles.RECORDS, change)).faults
    assert [fault.what for fault in faults] == ["records.jsonl was altered: line 4"]
    findings = {view.finding.id for view in press.views if any(victim.id.hex() in g.evidence for g in view.grounds)}
    assert findings <= {finding for said in faults[0].statements for finding in said.findings}


@pytest.mark.parametrize("name", ["report.pdf", "report.html", "report.json", "findings.json"])
async def test_a_file_that_was_altered_is_named_as_a_whole(press: Press, name: str) -> None:
    content = await made(press)
    (fault,) = checked(await altered(content, name, lambda body: flipped(body, len(body) // 2))).faults
    assert (fault.what, fault.whole) == (f"{name} was altered", True)


@pytest.mark.parametrize("name", ["statements.jsonl", "claims.jsonl", "facts.jsonl"])
async def test_a_line_that_was_altered_is_named(press: Press, name: str) -> None:
    content = await made(press)
    faults = checked(await altered(content, name, lambda body: flipped(body, body.index(b"\n") + 20))).faults
    assert faults[0].what == f"{name} was altered: line 2"
    assert name == "statements.jsonl" or faults[0].statements


async def test_of_a_member_with_more_lines_than_were_signed_the_first_one_too_many_is_the_last_that_is_read(
    press: Press,
) -> None:
    """A few kilobytes unpack to millions of empty lines."""
    content = await made(press)
    lines = members_of(content)[bundles.CLAIMS].count(b"\n")
    (fault,) = checked(await altered(content, bundles.CLAIMS, lambda body: body + b"\n" * 1_000_000)).faults
    assert fault.what == f"claims.jsonl was altered: line {lines + 1}"


async def test_a_member_that_is_missing_or_more_is_named(press: Press) -> None:
    members = members_of(await made(press))
    fewer = {name: body for name, body in members.items() if name != "report.md"}
    assert [fault.what for fault in checked(await packed(fewer)).faults] == ["report.md is missing"]
    more = {**members, f"bodies/{'0' * 64}": b"x"}
    assert "the manifest knows nothing of it" in checked(await packed(more)).faults[0].what


async def test_every_byte_that_is_flipped_is_found(press: Press) -> None:
    """Wherever it lies: in a member, in what the archive says of it, or in its directory."""
    press.views, press.records = press.views[:1], press.records[:2]
    content = await made(press, "executive")
    whole = members_of(content)
    for at in [*range(0, len(content), 997), *range(len(content) - 120, len(content)), *range(60)]:
        touched = flipped(content, at, at % 8)
        try:
            found = checked(touched, [published(KID, KEY)]).faults
        except MirageError:
            continue
        # In the last byte of a deflated member there are bits that say nothing.
        assert found or {n: BundleArchive(io.BytesIO(touched)).read(n, 10**8) for n in whole} == whole, at


async def test_a_manifest_that_was_written_anew_is_refused(press: Press) -> None:
    content = await made(press)
    members = members_of(content)
    manifest = msgspec.json.decode(members[bundles.MANIFEST], type=Manifest)
    members[bundles.MANIFEST] = bundles.write_manifest(replace(manifest, title="All is well"))
    with pytest.raises(Corrupt, match="not the one that was signed"):
        checked(await packed(members))


async def test_another_key_than_the_workspaces_is_found(press: Press) -> None:
    content = await made(press)
    members = members_of(content)
    said = ReportStatement(
        workspace=WORKSPACE, report=UUID(int=1), scan=SCAN, as_of=0, manifest=bundles.digest(members[bundles.MANIFEST])
    )
    forged = sign(bundles.write_statement(said), bundles.REPORT_TYPE, KID, OTHER)
    keys = msgspec.json.encode({"keys": [published(KID, OTHER)]})
    members |= {bundles.SIGNATURE: forged.encode(), bundles.KEYS: keys}
    with pytest.raises(Corrupt, match="about another report"):
        checked(await packed(members))
    with pytest.raises(Corrupt, match="not as it was signed"):
        checked(await packed(members), [published(KID, KEY)])
    with pytest.raises(Corrupt, match="none of the workspace"):
        checked(content, [published("another", OTHER)])


async def test_an_authorisation_that_is_not_the_scans_is_found(press: Press) -> None:
    """One that whoever made the bundle had signed for another scan, or by another key."""
    press.authorise()
    assert press.scan.authorisation is not None
    assert checked(await made(press)).faults == ()
    press.scan = replace(press.scan, authorisation=replace(press.scan.authorisation, scan=UUID(int=99)))
    assert [fault.what for fault in checked(await made(press)).faults] == ["the authorisation is one of another scan"]


async def test_a_statement_of_another_kind_is_no_signature_of_a_bundle(press: Press) -> None:
    members = members_of(await made(press))
    said = members[bundles.SIGNATURE].decode()
    from services.kernel.signatures import payload_of

    members[bundles.SIGNATURE] = sign(payload_of(said), "mirage-authorisation+jws", KID, KEY).encode()
    with pytest.raises(Corrupt, match="no mirage-report"):
        checked(await packed(members))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "bodies/../x", "report.exe", "bodies/zz", "C:\\x"])
async def test_a_name_that_leads_elsewhere_is_refused(press: Press, name: str) -> None:
    members = members_of(await made(press))
    with pytest.raises(Corrupt, match="no member of a bundle"):
        checked(await packed({**members, name: b"x"}))


@pytest.mark.slow
async def test_a_member_that_unpacks_to_more_than_it_says_is_not_unpacked(press: Press, tmp_path: Path) -> None:
    """A bomb: a hundred kilobytes that become a hundred megabytes, whatever size its heads claim."""
    members = members_of(await made(press))
    bomb = await packed({**members, "report.md": bytes(100_000_000)})
    found = checked(bomb)
    assert [fault.what for fault in found.faults] == ["report.md was altered"]
    said = struct.pack("<L", 100_000_000)
    assert bomb.count(said) == 2
    lying = bomb.replace(said, struct.pack("<L", 10))
    assert [fault.what for fault in checked(lying).faults] == ["report.md was altered"]
    with pytest.raises(Corrupt):
        checked(await packed({**members, "report.md": b"x"}) + zlib.compress(bytes(10)))


async def test_two_members_of_one_name_and_bytes_between_members_are_refused(press: Press) -> None:
    content = await made(press)
    file = io.BytesIO()
    with pytest.warns(UserWarning, match="Duplicate name"):
        Archive(file).close(("report.md", b"1"), ("report.md", b"2"))
    with pytest.raises(Corrupt, match="there twice"):
        BundleArchive(io.BytesIO(file.getvalue()))
    for touched in (b"x" + content, content + b"x", b"PK", b"", b"x" * 1000):
        with pytest.raises(Corrupt):
            checked(touched)


async def test_what_an_ordinary_program_packed_anew_is_refused_and_not_misread(press: Press) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, body in members_of(await made(press)).items():
            archive.writestr(name, body)
    with pytest.raises(Corrupt, match="not as it was written"):
        checked(file.getvalue())


def test_a_key_is_read_as_a_set_or_alone() -> None:
    one = published(KID, KEY)
    for content in (msgspec.json.encode(one), msgspec.json.encode({"keys": [one]})):
        assert key_of(content)[0]["kid"] == KID
    for content in (b"", b"[]", b'{"keys":[]}', b"\xff", b"[" * 100_000):
        with pytest.raises(Corrupt):
            key_of(content)
    assert hashlib.sha256(b"").hexdigest() == bundles.digest(b"")
