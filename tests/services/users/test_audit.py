"""The audit trail: one chain for each workspace, whoever appends to it and however often; nothing in it changes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from services.contracts import resources as r
from services.contracts.audit import Chain, Head, hash_of, write_line
from services.contracts.commands import Record
from services.kernel.bus import Delivery
from services.kernel.calls import Nothing, operator
from services.kernel.errors import Conflict, Corrupt, Invalid
from services.kernel.inbox import Inbox
from services.kernel.messages import EVERYWHERE, Envelope, envelop
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports, Received
from services.kernel.sql import migrations
from services.users.consumers import CONSUMERS
from services.users.service import service
from services.users.store import audit as store
from services.users.usecases import audit, people
from tests.stores import Stores

HERE, THERE = UUID(int=7), UUID(int=8)
JO, MO = UUID(int=1), UUID(int=2)
AT = 1_800_000_000_000_000
SECOND = 1_000_000


class Trail:
    """The trail of a database, which several processes may write."""

    def __init__(self, path: Path, stores: Stores) -> None:
        self._path, self._stores = path, stores
        self._opened: list[Ports] = []

    async def open(self) -> Ports:
        """One more process."""
        sql = self._stores.open(self._path)
        await sql.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
        ports = Ports("users", sql=sql, bus=None)
        ports.outbox = Outbox(sql, None, "users")  # type: ignore[arg-type]
        self._opened.append(ports)
        return ports

    async def close(self) -> None:
        for ports in self._opened:
            await ports.sql.close()


@pytest.fixture
async def trail(tmp_path: Path, stores: Stores) -> AsyncIterator[Trail]:
    opened = Trail(tmp_path / "users.db", stores)
    yield opened
    await opened.close()


@pytest.fixture
async def ports(trail: Trail) -> Ports:
    return await trail.open()


def said(number: int = 0, **fields: Any) -> Record:
    plain = {"at": AT + number * SECOND, "what": "users.invite", "outcome": "done", "kind": "person", "name": "Jo"}
    return Record(**{**plain, "account": JO, **fields})


async def record(ports: Ports, *entries: Record, workspace: UUID = HERE, by: str = "users") -> None:
    async with ports.outbox.unit() as unit:
        await audit.record(ports, unit, [Received(each, workspace, AT, filter=by) for each in entries])


async def chain(ports: Ports, workspace: UUID = HERE) -> list[r.AuditEntry]:
    parts = [part async for part in audit.export_audit(ports, operator(workspace), Nothing())]
    return [entry for part in parts for entry in part.entries]


async def search(ports: Ports, workspace: UUID = HERE, **fields: Any) -> list[int]:
    """The numbers of what is found, in all pages."""
    found, before = [], None
    while True:
        page = await audit.list_audit(ports, operator(workspace), r.AuditQuery(**fields, before=before))
        found += [each.sequence for each in page.entries]
        if (before := page.next) is None:
            return found


def check(entries: list[r.AuditEntry], head: Head | None = None) -> Head:
    taken = Chain(head)
    for entry in entries:
        taken.add(entry)
    return taken.end()


# --- appending ---


async def test_entries_are_numbered_and_each_has_the_hash_of_all_before_it(ports: Ports) -> None:
    await record(ports, said(1, about={"b": "1", "a": '\u00e9\n"'}, session=JO), said(2, account=None))
    await record(ports, said(3, trace="ab" * 16))
    entries = await chain(ports)
    assert [each.sequence for each in entries] == [1, 2, 3]
    assert check(entries) == Head(3, entries[-1].hash)
    assert entries[0].about == {"a": '\u00e9\n"', "b": "1"}
    assert (entries[0].at, entries[0].session, entries[1].account) == (AT + SECOND, JO, None)


def test_the_form_that_is_hashed_stays_as_it_is() -> None:
    """By hand: whoever has kept a chain goes on to verify it."""
    entry = r.AuditEntry(
        workspace=HERE, sequence=1, at=AT, what="users.invite", outcome="done", kind="person", name='J\u00f6 "\u2028\n',
        account=JO, session=None, address="::1", service="", about={"role": "admin", "id": "x"}, trace="", hash="",
    )  # fmt: skip
    form = (
        '["00000000-0000-0000-0000-000000000007",1,1800000000000000,"users.invite","done","person",'
        '"J\u00f6 \\"\u2028\\n",'
        '"00000000-0000-0000-0000-000000000001",null,"::1","",{"id":"x","role":"admin"},""]'
    )
    assert hash_of(b"\1" * 32, entry) == hashlib.sha256(b"\1" * 32 + form.encode()).digest()


async def test_each_workspace_has_a_chain_of_its_own(ports: Ports) -> None:
    async with ports.outbox.unit() as unit:
        batch = [Received(said(n), (HERE, THERE, EVERYWHERE)[n % 3], AT, filter="users") for n in range(9)]
        await audit.record(ports, unit, batch)
    for workspace in (HERE, THERE, EVERYWHERE):
        entries = await chain(ports, workspace)
        assert [(each.workspace, each.sequence) for each in entries] == [(workspace, n) for n in (1, 2, 3)]
        check(entries)
    installation = [part async for part in audit.export_installation_audit(ports, operator(HERE), Nothing())]
    assert [each.workspace for part in installation for each in part.entries] == [EVERYWHERE] * 3


async def test_two_who_append_at_once_make_one_chain(trail: Trail) -> None:
    one, other = await trail.open(), await trail.open()
    await asyncio.gather(
        *(record(ports, said(n, name=name), said(n, name=name), workspace=workspace)
          for ports, name in ((one, "one"), (other, "other")) for n in range(10) for workspace in (HERE, THERE))
    )  # fmt: skip
    for workspace in (HERE, THERE):
        entries = await chain(one, workspace)
        assert check(entries).sequence == 40
        assert [each.name for each in entries].count("other") == 20


async def test_a_message_that_comes_twice_is_one_entry(ports: Ports) -> None:
    inbox = Inbox(ports, ports.outbox, CONSUMERS[0])
    first, second = (envelop(said(n), source="users", workspace=HERE, id=uuid4(), filter="users") for n in range(2))
    for batch in ([first], [first, second], [second, first]):
        await inbox._take_at_once([delivered(each) for each in batch])
    assert [each.at - AT for each in await chain(ports)] == [0, SECOND]


def delivered(envelope: Envelope) -> Delivery:
    return Delivery(token=None, sequence=1, tries=1, envelope=envelope)


async def test_nobody_speaks_of_the_questions_of_another(ports: Ports) -> None:
    """A service that was taken over invents nothing that others did; the gateway says what it refused."""
    await record(ports, said(what="scans.delete_scan"), by="collector")
    await record(ports, said(what="usersome.thing"), said(what="scans.delete_scan"), by="users")
    await record(ports, said(what="scans.delete_scan"), by="gateway")
    await record(ports, said(what="scans.delete_scan"), by="")
    assert await chain(ports) == []
    await record(ports, said(what="scans.delete_scan", outcome="denied"), by="gateway")
    await record(ports, said(what="scans.delete_scan"), by="scans")
    assert [each.outcome for each in await chain(ports)] == ["denied", "done"]


@pytest.mark.parametrize("statement", [
    "UPDATE audit_entry SET name = 'Mo' WHERE sequence = 2", "DELETE FROM audit_entry WHERE sequence = 2",
])  # fmt: skip
async def test_the_database_changes_and_removes_no_entry(ports: Ports, statement: str) -> None:
    await record(ports, *map(said, range(3)))
    with pytest.raises(Conflict, match="append-only"):
        async with ports.sql.begin() as tx:
            await tx.execute(statement)
    assert check(await chain(ports)).sequence == 3


async def test_an_entry_is_never_put_where_another_one_is(ports: Ports) -> None:
    await record(ports, said())
    with pytest.raises(Conflict, match="another entry"):
        async with ports.sql.begin() as tx:
            await store.append_entries(tx, await chain(ports))


# --- what was tampered with is found ---


@pytest.fixture
async def whole(ports: Ports) -> list[r.AuditEntry]:
    await record(ports, *(said(n, name=f"Jo {n}", session=MO, service="x", trace="y", address="z") for n in range(9)))
    return await chain(ports)


CHANGED: dict[str, Any] = {
    "at": AT, "what": "users.set_role", "outcome": "denied", "kind": "token", "name": "Mo", "account": None,
    "session": JO, "address": "", "service": "auth", "about": {"role": "owner"}, "trace": "", "hash": "ab" * 32,
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGED)
async def test_a_changed_field_is_found(whole: list[r.AuditEntry], field: str) -> None:
    whole[4] = msgspec.structs.replace(whole[4], **{field: CHANGED[field]})
    with pytest.raises(Corrupt, match=r"^entry 5 \(.*\) is not as it was written"):
        check(whole)


def test_every_field_is_tried() -> None:
    assert {*CHANGED, "workspace", "sequence"} == set(r.AuditEntry.__struct_fields__)


@pytest.mark.parametrize(("tamper", "found"), [
    (lambda entries: entries.pop(4), "^entry 5 is missing before entry 6"),
    (lambda entries: entries.__delitem__(slice(2, 5)), "^entries 3-5 are missing before entry 6"),
    (lambda entries: entries.pop(0), "^entry 1 is missing before entry 2"),
    (lambda entries: entries.insert(4, entries[3]), "^entry 4 comes again after entry 4"),
    (lambda entries: entries.insert(2, entries.pop(6)), "^entries 3-6 are missing before entry 7"),
    (lambda entries: entries.insert(4, msgspec.structs.replace(entries[4], name="Mo")), "^entry 5 .* is not as it was"),
    (lambda entries: entries.append(msgspec.structs.replace(entries[8], sequence=10)), "^entry 10 .* is not as it was"),
    (lambda entries: entries.append(msgspec.structs.replace(entries[0], workspace=THERE)), "is of another workspace"),
    (lambda entries: entries.__setitem__(3, msgspec.structs.replace(entries[3], workspace=THERE)), "another workspace"),
])  # fmt: skip
async def test_what_was_removed_added_or_moved_is_found(
    whole: list[r.AuditEntry], tamper: Callable[[list[r.AuditEntry]], Any], found: str
) -> None:
    tamper(whole)
    with pytest.raises(Corrupt, match=found):
        check(whole)


async def test_a_head_that_was_kept_proves_that_nothing_is_gone(whole: list[r.AuditEntry]) -> None:
    head = check(whole[:6])
    assert check(whole, head) == check(whole)
    with pytest.raises(Corrupt, match=r"^entry 6 is gone"):
        check(whole[:5], head)
    with pytest.raises(Corrupt, match=r"^entries 1-6 are gone"):
        check([], head)
    assert check(whole[:5]).sequence == 5  # without one, nobody can tell


async def test_a_chain_that_was_written_anew_is_told_by_a_head(whole: list[r.AuditEntry]) -> None:
    head, last, anew = check(whole), bytes(32), []
    for entry in whole:
        changed = msgspec.structs.replace(entry, name="Mo" if entry.sequence == 3 else entry.name)
        last = hash_of(last, changed)
        anew.append(msgspec.structs.replace(changed, hash=last.hex()))
    check(anew)
    with pytest.raises(Corrupt, match=r"^entry 9 is another than the head that was kept"):
        check(anew, head)


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(17, "ab" * 32)
    assert Head.read(str(head)) == head
    for text in ("", "17", "17:", f"x:{head.hash}", f"-1:{head.hash}", f"{head}0", f"1{'0' * 20}:{head.hash}"):
        with pytest.raises(Invalid, match="SEQUENCE:HASH"):
            Head.read(text)


# --- searching ---


async def test_entries_are_found_by_who_what_when_and_how_it_ended(ports: Ports) -> None:
    boss = r.NewProfile(account=JO, email="jo@example.org", name="Jo")
    await people.add_profile(ports, operator(EVERYWHERE), boss)
    await record(
        ports,
        said(1),
        said(2, account=MO, name="Mo", what="users.set_role", about={"role": "admin"}),
        said(3, account=None, name="operator", kind="operator"),
        said(4, outcome="denied", address="192.0.2.1"),
        said(5, account=MO, name="Mo", about={"role": "100%_!"}),
    )
    for fields, found in [
        ({}, [5, 4, 3, 2, 1]),
        ({"who": "jo@example.org"}, [4, 1]),
        ({"who": str(MO)}, [5, 2]),
        ({"who": "Mo"}, [5, 2]),
        ({"who": "operator"}, [3]),
        ({"who": "Mo", "what": "set_role"}, [2]),
        ({"what": "users.invite"}, [5, 4, 3, 1]),
        ({"what": "invite", "outcome": "denied"}, [4]),
        ({"outcome": "denied"}, [4]),
        ({"since": AT + 2 * SECOND, "until": AT + 4 * SECOND}, [4, 3, 2]),
        ({"text": "192.0.2"}, [4]),
        ({"text": "SET_"}, [2]),
        ({"text": "100%_!"}, [5]),
        ({"text": "1%1"}, []),
        ({"text": "admin", "who": "Mo"}, [2]),
        ({"what": "scans.create_scan"}, []),
    ]:
        assert await search(ports, **fields) == found, fields
    assert await search(ports, THERE) == []
    with pytest.raises(Invalid, match="no question nothing"):
        await search(ports, what="nothing")
    assert await search(ports, who="so@example.org") == [], "who did nothing here is told of to nobody"


async def test_pages_have_all_of_what_is_looked_for_once_the_newest_first(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much each looks at, and in whatever order entries came."""
    times = [5, 1, 9, 9, 3, 9, 2, 7, 7, 0, 4, 6]
    await record(ports, *(said(at, outcome="denied" if n % 3 == 0 else "done") for n, at in enumerate(times)))
    newest = sorted(range(1, len(times) + 1), key=lambda sequence: (times[sequence - 1], sequence), reverse=True)
    denied = [sequence for sequence in newest if (sequence - 1) % 3 == 0]
    for window in (1, 2, 5, 100):
        monkeypatch.setattr(audit, "WINDOW", window)
        for limit in (1, 2, 5, 100):
            assert await search(ports, limit=limit) == newest
            assert await search(ports, limit=limit, outcome="denied") == denied
            assert await search(ports, limit=limit, who="Jo", text="denied") == denied


async def test_an_export_is_of_what_there_was_when_it_began(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PART", 2)
    await record(ports, *map(said, range(5)))
    parts = audit.export_audit(ports, operator(HERE), Nothing())
    numbers = []
    async for part in parts:
        numbers.append([each.sequence for each in part.entries])
        await record(ports, said(9))
    assert numbers == [[1, 2], [3, 4], [5]]


async def test_an_entry_is_written_as_it_is_read(whole: list[r.AuditEntry]) -> None:
    for entry in whole:
        assert msgspec.json.decode(write_line(entry), type=r.AuditEntry) == entry
