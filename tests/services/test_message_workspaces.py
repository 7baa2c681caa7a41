"""A message that names what is of one workspace, in the name of another, changes nothing, whoever hears it.

Consumers come from the declarations: one that is new has to have a message here, or a reason why it needs none.
"""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest
from msgspec import Struct
from msgspec.structs import replace

from services.catalogue import load_embedded, load_services
from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts.commands import Collect, WorkItem
from services.contracts.facts import (
    Admission,
    Admitted,
    Announced,
    Changed,
    Collected,
    Deleted,
    Finished,
    OperatorChanged,
    Said,
    Started,
    Superseded,
)
from services.contracts.resources import NewScan, ScanId, Upload
from services.contracts.resources.reports import NewReport
from services.correlation.usecases import follow
from services.kernel.calls import operator
from services.kernel.inbox import durable
from services.kernel.messages import EVERYWHERE, envelop, message_type, workspace_id
from services.kernel.runtime import Runtime
from services.kernel.service import Handles, load
from services.kernel.settings import Settings

OURS, THEIRS = workspace_id("ours"), workspace_id("theirs")
NAME = entities.hostname("www.example.org")
WORDS = b"www\nmail\n"
#: Tables that say what was heard and is to be said, not what is so.
PASSING: Final = {"inbox", "outbox", "failure", "schema_version", "unindexed", "search_index"}
#: Databases that are made of others, some time later, and the bus.
FOLLOWING: Final = {"bus", "cache", "storage-search"}
CONSUMERS: Final[Mapping[str, Handles]] = {
    durable(service.name, handles.name): handles
    for service in load_services()
    if service.consumers
    for handles in load(service.consumers)
}
#: Consumers that nothing of another workspace can be named to, and why.
WITHOUT: Final = {
    "registry__finished": "what it keeps is how well sources are, which is of no workspace (D23)",
    "auth__role_changed": "it names an account, and ends what lets it in there: once too often lets nobody in",
    "users__record": "it is appended to the chain of the workspace in whose name it comes, and names rows of nobody",
}


class World(Struct):
    """A scan of ours, which is paused, with the digest of its word list."""

    scan: UUID
    words: bytes


Make = Callable[[World], Struct]


def collected(world: World) -> Collected:
    return Collected(
        scan=world.scan, run=1, batch=uuid4(), item=uuid4(), module="crtsh", version=1,
        subject=entities.domain("example.org"), part=0, at=1, said=(Said(NAME, ()),), outcome="found", parts=1,
    )  # fmt: skip


#: What each consumer hears, about the scan of ours, that changes something when we say it.
MESSAGES: Final[Mapping[str, Make]] = {
    "scans__results": collected,
    "scans__superseded": lambda world: Superseded(
        scan=world.scan, run=1, batch=uuid4(), module="crtsh", version=1, live=None
    ),
    "storage__collected": collected,
    "storage__admitted": lambda world: Admitted(
        scan=world.scan, ordinal=99, admissions=(Admission(NAME, "in_scope", 0),)
    ),
    "storage__deleted": lambda world: Deleted(scan=world.scan),
    "collector__collect": lambda world: Collect(
        scan=world.scan, run=1, batch=uuid4(), attempt=1, module="crtsh", version=999,
        items=(WorkItem(uuid4(), entities.domain("example.org"), "target"),),
    ),
    "collector__deleted": lambda world: Deleted(scan=world.scan, words=world.words, made=2**60),
    "correlation__changed": lambda world: Changed(scan=world.scan, ordinal=99, entities=(NAME.id,)),
    "correlation__started": lambda world: Started(
        scan=world.scan, run=7, targets=(entities.domain("example.org"),), profile="passive", target_count=1
    ),
    "correlation__finished": lambda world: Finished(
        scan=world.scan, run=1, state="finished", reason="", results=0, admissions=0, outcomes={}, evidence_root=b"",
        at=5,
    ),
    "correlation__deleted": lambda world: Deleted(scan=world.scan),
    "reporting__deleted": lambda world: Deleted(scan=world.scan),
    "registry__announced": lambda world: Announced(digest="another", modules=()),
    "auth__operator_changed": lambda world: OperatorChanged(account=uuid4(), at=1),
}  # fmt: skip
#: These change nothing when we say them either: no batch of a scan that is paused is anybody's.
NOTHING_TO_CHANGE: Final = {"scans__superseded"}


def test_every_consumer_is_looked_at_and_no_other() -> None:
    assert MESSAGES.keys() | WITHOUT.keys() == CONSUMERS.keys()
    assert not MESSAGES.keys() & WITHOUT.keys()
    for consumer, handles in CONSUMERS.items():
        assert handles.everywhere == "only" or handles.owners is not None or consumer in WITHOUT, consumer


@pytest.fixture
async def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """What correlation heard stays to be done: else rows would change by themselves, while it is looked at them."""

    async def rest(*_: object) -> None:
        """Take no step."""

    monkeypatch.setattr(follow, "take_step", rest)
    nowhere = tmp_path / "nowhere.json"
    nowhere.write_text(json.dumps({"version": 1, "entries": []}))
    settings = Settings(data=str(tmp_path / "data"), dial_table=str(nowhere), resolvers=("192.0.2.53",))
    async with Runtime(load_embedded(), settings, works=False) as started:
        yield started


@pytest.fixture
async def world(runtime: Runtime) -> World:
    """A scan of ours of which every service knows something, and the same word list in both workspaces."""
    caller = operator(OURS)
    for workspace in (OURS, THEIRS):
        uploaded = await runtime.calls.ask(e.UPLOAD, Upload(WORDS), operator(workspace))
    asked = NewScan(targets=("example.org",), modules=("crtsh",), words=uploaded.digest)
    scan = (await runtime.calls.ask(e.CREATE_SCAN, asked, caller)).id
    await runtime.calls.ask(e.PAUSE_SCAN, ScanId(scan), caller)
    runtime.work()
    await settled(runtime)
    made = World(scan, hashlib.sha256(WORDS).digest())
    await say(runtime, collected(made), OURS)
    await settled(runtime)
    async for _ in runtime.calls.follow(e.MAKE_REPORT, NewReport(scan=scan), caller):
        pass
    await settled(runtime)
    return made


async def say(runtime: Runtime, message: Struct, workspace: UUID) -> UUID:
    source = message_type(type(message)).split(".")[2]
    envelope = envelop(message, source=source, workspace=workspace, id=uuid4())
    await runtime.bus.publish([envelope])
    return envelope.id


async def settled(runtime: Runtime) -> None:
    """Wait until everything that was said was heard, and what was said for it."""
    quiet = 0
    async with asyncio.timeout(20):
        while quiet < 3:
            for ports in runtime.ports.values():
                if "outbox" in vars(ports):
                    await ports.outbox.flush(5)
            lags = [await runtime.bus.lag(consumer) for consumer in CONSUMERS]
            quiet = quiet + 1 if not any(lag.waiting or lag.in_flight for lag in lags) else 0
            await asyncio.sleep(0.02)


def kept(runtime: Runtime, *heard: UUID) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all services; of inboxes, those of other messages than were ``heard``."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for path in runtime.folder.path.glob("*.db"):
        if path.stem in FOLLOWING:
            continue
        with closing(sqlite3.connect(path)) as store:
            tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                if table not in PASSING and not table.startswith("sqlite_"):
                    rows = store.execute(f"SELECT * FROM {table}").fetchall()
                    found[f"{path.stem}.{table}"] = sorted(rows, key=repr)
            if "inbox" in tables:
                rows = store.execute("SELECT consumer, id FROM inbox").fetchall()
                mine = {each.bytes for each in heard}
                found[f"{path.stem}.inbox"] = sorted(row for row in rows if row[1] not in mine)
    return found


@pytest.mark.parametrize("consumer", sorted(MESSAGES))
async def test_what_another_workspace_says_of_ours_changes_nothing(
    runtime: Runtime, world: World, consumer: str
) -> None:
    message = MESSAGES[consumer](world)
    before = kept(runtime)
    heard = await say(runtime, message, THEIRS)
    await settled(runtime)
    assert kept(runtime, heard) == before
    assert await runtime.bus.dead() == []
    ours = EVERYWHERE if CONSUMERS[consumer].everywhere == "only" else OURS
    again = await say(runtime, message, ours)
    await settled(runtime)
    assert (kept(runtime, heard, again) != before) is (consumer not in NOTHING_TO_CHANGE), (
        "and it is not for want of a message"
    )


async def test_in_a_bundle_what_is_ours_is_taken_and_the_rest_is_not(runtime: Runtime, world: World) -> None:
    theirs = (await runtime.calls.ask(e.CREATE_SCAN, NewScan(targets=("example.net",), modules=("crtsh",)),
                                      operator(THEIRS))).id  # fmt: skip
    await runtime.calls.ask(e.PAUSE_SCAN, ScanId(theirs), operator(THEIRS))
    await settled(runtime)
    late = replace(collected(world), scan=theirs)
    async with runtime.ports["collector"].outbox.unit() as unit:
        unit.emit_bundled({"1": collected(world), "2": late, "3": collected(world)}, workspace=THEIRS)
    await settled(runtime)
    found = kept(runtime)
    assert [row[2] for row in found["scans.late"] if row[0] == THEIRS.bytes] == [late.item.bytes]
    assert {row[2] for row in found["storage.result"] if row[0] == THEIRS.bytes} == {late.item.bytes}
