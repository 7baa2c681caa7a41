"""What the audit trail is told: an entry where something was done, none where it was not, and no text of a question."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import Struct

from services.kernel import trail
from services.kernel.calls import Caller, CallsOf, Endpoint, Entry, LocalCalls, Nothing, operator
from services.kernel.errors import Conflict, Denied, Limited, MirageError, NotFound, Unavailable
from services.kernel.messages import EVERYWHERE
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports, Service
from services.kernel.trail import open_trail, say_about, say_made, say_where, say_who
from tests.stores import Stores

WORKSPACE = UUID(int=7)
JO = UUID(int=1)
CALLER = Caller(WORKSPACE, "Jo", "person", frozenset({"books.write"}), JO, session=UUID(int=2), address="192.0.2.1")
NOBODY = Caller(EVERYWHERE, "nobody", "person", frozenset({"books.write"}), address="192.0.2.9")
CANARY = "canary-6f1d"


class Said(Entry, frozen=True, kw_only=True, tag="mirage.cmd.books.record.v1"):
    """The entry of these tests."""


class Write(Struct, frozen=True, kw_only=True):
    """``how`` says what the service does, step by step."""

    shelf: str = ""
    how: str = "done"
    book: UUID | None = None
    kind: Literal["novel", "poem"] = "novel"
    bound: bool = False
    text: str = ""


def endpoint(name: str, method: str = "POST", **more: Any) -> Endpoint[Any, Any]:
    return Endpoint(
        service="books", name=name, method=method, path=f"/v1/{name}/{{shelf}}", takes=Write, answers=Nothing,
        summary="", needs="books.write", **more,
    )  # fmt: skip


WRITE = endpoint("write")
LOOK = endpoint("look", "GET")
TAKE_OUT = endpoint("take_out", "GET", audited=True, streams=True)
COPY = endpoint("copy", streams=True)
ENTER = endpoint("enter", within=False)
OURS = endpoint("ours", audited_for=("press",))


class Books:
    """A service that writes, and its entries as they are in its outbox."""

    def __init__(self, ports: Ports, calls: LocalCalls) -> None:
        self.ports = ports
        self.calls = calls

    async def ask(self, endpoint: Endpoint[Any, Any], caller: Caller = CALLER, **fields: Any) -> str:
        """Ask, and return the code of what became of it."""
        try:
            await self.calls.ask(endpoint, Write(**fields), caller)
        except MirageError as error:
            return type(error).__name__
        return "done"

    async def entries(self) -> list[tuple[UUID, Said]]:
        """What was said, with the workspaces, and what waits to be."""
        await self.ports.trail.flush()
        async with self.ports.sql.read() as view:
            rows = await view.fetch("SELECT workspace, data, filter FROM outbox ORDER BY position")
        assert {row[2] for row in rows} <= {"books"}
        return [(UUID(bytes=bytes(row[0])), msgspec.json.decode(bytes(row[1]), type=Said)) for row in rows]

    async def outcomes(self) -> list[str]:
        return [entry.outcome for _, entry in await self.entries()]


async def write(ports: Ports, caller: Caller, question: Write) -> Nothing:
    """Do what ``how`` says."""
    for step in question.how.split():
        await STEPS[step](ports, question)
    return Nothing()


async def commit(ports: Ports, question: Write) -> None:
    async with ports.outbox.unit():
        pass


async def roll_back(ports: Ports, question: Write) -> None:
    with pytest.raises(ZeroDivisionError):
        async with ports.outbox.unit():
            raise ZeroDivisionError


async def refuse(ports: Ports, question: Write) -> None:
    raise Conflict(f"it is so {question.text}")


async def limit(ports: Ports, question: Write) -> None:
    raise Limited("too often")


async def break_down(ports: Ports, question: Write) -> None:
    raise ZeroDivisionError(question.text)


async def know(ports: Ports, question: Write) -> None:
    say_who(JO, "jo@example.org")


async def make(ports: Ports, question: Write) -> None:
    say_made(copy=UUID(int=5))


async def find(ports: Ports, question: Write) -> None:
    say_about(owner=UUID(int=6))


async def elsewhere(ports: Ports, question: Write) -> None:
    say_where(UUID(int=8))


async def ask_press(ports: Ports, question: Write) -> None:
    """Have another service be asked, which asks back for the same sake."""
    await CallsOf("press", ports.calls).ask(WRITE, Write(how="commit"), CALLER)


async def nothing(ports: Ports, question: Write) -> None:
    pass


STEPS: dict[str, Callable[[Ports, Write], Any]] = {
    "commit": commit, "roll_back": roll_back, "refuse": refuse, "limit": limit, "break_down": break_down,
    "know": know, "make": make, "find": find, "elsewhere": elsewhere, "ask_press": ask_press, "done": nothing,
}  # fmt: skip


async def copy(ports: Ports, caller: Caller, question: Write) -> AsyncGenerator[Nothing, None]:
    for step in question.how.split():
        await STEPS[step](ports, question)
        yield Nothing()


@pytest.fixture
async def books(tmp_path: Path, stores: Stores) -> AsyncIterator[Books]:
    sql = stores.open(tmp_path / "books.db")
    await sql.migrate(MIGRATIONS)
    calls = LocalCalls({"press": [WRITE, OURS]})
    ports = Ports("books", sql=sql, calls=calls)
    ports.outbox = Outbox(sql, None, "books")  # type: ignore[arg-type]
    open_trail(Service(name="books", summary="", needs=(), publishes=(Said,)), ports)
    calls.serve(ports, {each: copy if each.streams else write for each in (WRITE, LOOK, TAKE_OUT, COPY, ENTER, OURS)})
    yield Books(ports, calls)
    await sql.close()


async def test_what_is_done_leaves_one_entry_that_says_who_did_what(books: Books) -> None:
    book = uuid4()
    assert await books.ask(WRITE, shelf="a", how="make commit", book=book, kind="poem", bound=True, text="x") == "done"
    ((workspace, entry),) = await books.entries()
    assert workspace == WORKSPACE
    assert (entry.what, entry.outcome, entry.kind, entry.name) == ("books.write", "done", "person", "Jo")
    assert (entry.account, entry.session, entry.address) == (JO, UUID(int=2), "192.0.2.1")
    assert entry.about == {
        "shelf": "a", "book": str(book), "kind": "poem", "bound": "true", "copy": str(UUID(int=5)),
    }  # fmt: skip


async def test_the_entry_is_in_the_transaction_of_what_was_done(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: object) -> None:
        raise Unavailable("nothing is written by itself")

    monkeypatch.setattr(books.ports.trail, "_write", away)
    assert await books.ask(WRITE, how="commit commit") == "done"
    monkeypatch.undo()
    assert await books.outcomes() == ["done"]


async def test_what_is_rolled_back_has_no_entry_and_what_is_done_then_has_one(books: Books) -> None:
    assert await books.ask(WRITE, how="roll_back refuse") == "Conflict"
    assert await books.outcomes() == ["conflict"]
    assert await books.ask(WRITE, how="roll_back commit") == "done"
    assert await books.outcomes() == ["conflict", "done"]


async def test_what_was_done_is_done_whatever_becomes_of_the_answer(books: Books) -> None:
    assert await books.ask(WRITE, how="commit refuse") == "Conflict"
    with pytest.raises(ZeroDivisionError):
        await books.ask(WRITE, how="commit break_down")
    assert await books.outcomes() == ["done", "done"]


async def test_what_is_done_without_a_unit_is_answered_when_its_entry_is_written(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await books.ask(WRITE) == "done"
    assert await books.outcomes() == ["done"]

    async def away(_: object) -> None:
        raise Unavailable("the disk is away")

    monkeypatch.setattr(books.ports.trail, "_write", away)
    assert await books.ask(WRITE) == "Unavailable"


async def test_what_cannot_be_told_has_one_entry_at_most(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit whose end was not seen may have been one: what is said then is the same message."""
    begin = books.ports.sql.begin

    def lost() -> Any:
        return Lost(begin())

    monkeypatch.setattr(books.ports.sql, "begin", lost)
    assert await books.ask(WRITE, how="commit") == "Unavailable"
    monkeypatch.undo()
    await books.ports.trail.flush()
    async with books.ports.sql.read() as view:
        ids = [row[0] for row in await view.fetch("SELECT id FROM outbox")]
    assert len(ids) == 2
    assert len(set(map(bytes, ids))) == 1


class Lost:
    """A transaction that commits, and says that the database is away."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aenter__(self) -> Any:
        return await self._inner.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(*error)
        raise Unavailable("the connection was lost")


async def test_what_is_cancelled_before_it_is_done_has_no_entry(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def wait(ports: Ports, question: Write) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setitem(STEPS, "wait", wait)
    asking = asyncio.create_task(books.ask(WRITE, how="wait commit"))
    await reached.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await books.outcomes() == []


async def test_what_only_reads_has_none_unless_it_is_said_to(books: Books) -> None:
    assert await books.ask(LOOK, how="commit") == "done"
    assert await books.ask(LOOK, how="refuse") == "Conflict"
    assert await books.outcomes() == []


async def test_what_is_taken_out_has_its_entry_before_the_first_part(books: Books) -> None:
    parts = books.calls.follow(TAKE_OUT, Write(how="done done"), CALLER)
    await anext(parts)
    assert await books.outcomes() == ["done"]
    await parts.aclose()
    assert await books.outcomes() == ["done"]


@pytest.mark.parametrize(("how", "outcomes"), [
    ("commit done commit", ["done"]), ("done done", ["done"]), ("done refuse", ["conflict"]),
    ("commit refuse", ["done"]),
])  # fmt: skip
async def test_a_stream_that_changes_something_leaves_one_entry(books: Books, how: str, outcomes: list[str]) -> None:
    try:
        async for _ in books.calls.follow(COPY, Write(how=how), CALLER):
            pass
    except Conflict:
        assert "refuse" in how
    assert await books.outcomes() == outcomes


async def test_a_stream_that_is_left_has_the_entry_of_what_was_done(books: Books) -> None:
    for how, outcomes in (("done commit", []), ("commit done", ["done"])):
        parts = books.calls.follow(COPY, Write(how=how), CALLER)
        await anext(parts)
        await parts.aclose()
        assert await books.outcomes() == outcomes


async def test_what_services_ask_for_somebody_is_not_recorded_again(books: Books) -> None:
    await CallsOf("press", books.calls).ask(WRITE, Write(how="commit"), CALLER)
    assert await books.outcomes() == []
    assert await books.ask(WRITE, how="ask_press refuse") == "Conflict"
    assert await books.outcomes() == ["conflict"]


async def test_what_a_service_asks_that_has_no_trail_is_recorded_with_both_names(books: Books) -> None:
    await CallsOf("press", books.calls).ask(OURS, Write(how="commit"), CALLER)
    ((_, entry),) = await books.entries()
    assert (entry.kind, entry.service, entry.name, entry.account) == ("service", "press", "Jo", JO)


async def test_what_goes_on_after_the_answer_is_no_part_of_the_question(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    going: list[asyncio.Task[None]] = []
    go = asyncio.Event()

    async def later(ports: Ports) -> None:
        await go.wait()
        await commit(ports, Write())

    async def begin(ports: Ports, question: Write) -> None:
        going.append(asyncio.create_task(later(ports)))

    monkeypatch.setitem(STEPS, "begin", begin)
    assert await books.ask(WRITE, how="begin refuse") == "Conflict"
    go.set()
    await going[0]
    assert await books.outcomes() == ["conflict"]


async def test_what_was_to_be_made_is_named_only_where_it_was(books: Books) -> None:
    for how in ("make find refuse", "make find roll_back refuse", "make find commit"):
        await books.ask(WRITE, how=how)
    found = {"owner": str(UUID(int=6))}
    assert sorted((entry.outcome, entry.about) for _, entry in await books.entries()) == [
        ("conflict", found), ("conflict", found), ("done", {**found, "copy": str(UUID(int=5))}),
    ]  # fmt: skip


# --- who is not known, and who may not ---


async def test_strangers_leave_no_entry_unless_it_is_known_whom_they_try_to_be(books: Books) -> None:
    for how in ("refuse", "done", "know done"):
        await books.ask(ENTER, NOBODY, how=how)
    assert await books.entries() == []
    await books.ask(ENTER, NOBODY, how="know refuse")
    await books.ask(ENTER, NOBODY, how="know commit")
    seen = [(workspace, entry.outcome, entry.account, entry.name) for workspace, entry in await books.entries()]
    assert seen == [(EVERYWHERE, outcome, JO, "jo@example.org") for outcome in ("done", "conflict")]


async def test_who_is_known_is_nobody_else(books: Books) -> None:
    mo = msgspec.structs.replace(CALLER, account=UUID(int=9), name="Mo")
    await books.ask(WRITE, mo, how="know commit")
    assert [(entry.account, entry.name) for _, entry in await books.entries()] == [(UUID(int=9), "Mo")]


async def test_who_is_known_and_may_not_leaves_an_entry(books: Books) -> None:
    reads = msgspec.structs.replace(CALLER, permissions=frozenset())
    for endpoint in (WRITE, LOOK):
        with pytest.raises(Denied):
            await books.calls.ask(endpoint, Write(shelf=CANARY, text=CANARY), reads)
    assert [(entry.what, entry.outcome, entry.about) for _, entry in await books.entries()] == [
        ("books.write", "denied", {}), ("books.look", "denied", {}),
    ]  # fmt: skip
    assert await books.ask(WRITE, msgspec.structs.replace(NOBODY, permissions=frozenset())) == "Unauthenticated"
    assert len(await books.entries()) == 2


async def test_what_fails_fills_no_disk(books: Books) -> None:
    """Of one caller and endpoint some are written at once, and of what waits no more than there is room for."""
    for _ in range(trail.WAITING + 10):
        await books.ask(WRITE, how="refuse")
    assert len(await books.entries()) == trail.FAILURES.burst
    mo = msgspec.structs.replace(CALLER, account=UUID(int=9))
    await books.ask(WRITE, mo, how="refuse")
    assert await books.ask(WRITE, how="limit") == "Limited"
    await books.ask(WRITE, how="commit")
    assert (await books.outcomes())[trail.FAILURES.burst :] == ["done", "conflict"]


async def test_entries_that_cannot_be_written_wait(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: object) -> None:
        raise Unavailable("the disk is away")

    await books.ask(WRITE, how="refuse")
    with monkeypatch.context() as patched:
        patched.setattr(books.ports.trail, "_write", away)
        with pytest.raises(Unavailable):
            await books.ports.trail.flush()
    assert await books.outcomes() == ["conflict"]


async def test_what_failed_is_written_by_itself_and_not_while_it_is_answered(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the time that an answer takes would tell whether there is who somebody tries to be."""
    written, write = asyncio.Event(), books.ports.trail._write

    async def watched(entries: Any) -> None:
        await write(entries)
        written.set()

    monkeypatch.setattr(books.ports.trail, "_write", watched)
    monkeypatch.setattr(trail, "LATER", 0.01)
    running = asyncio.create_task(books.ports.trail.run())
    assert await books.ask(WRITE, how="refuse") == "Conflict"
    assert not written.is_set()
    async with asyncio.timeout(20):
        await written.wait()
    running.cancel()
    assert await books.outcomes() == ["conflict"]


# --- no secret ---


async def test_an_entry_is_of_the_workspace_that_the_use_case_says(books: Books) -> None:
    await books.ask(ENTER, how="elsewhere commit")
    assert [workspace for workspace, _ in await books.entries()] == [UUID(int=8)]


@pytest.mark.parametrize("how", ["commit", "done", "refuse", "break_down"])
async def test_no_text_of_a_question_is_in_an_entry(books: Books, how: str) -> None:
    """Whatever is in the place of an id, a flag or a word; of a path what was found there."""
    planted: dict[str, Any] = {"book": CANARY, "kind": CANARY, "bound": CANARY, "text": CANARY}
    try:
        await books.ask(WRITE, shelf="" if how in {"commit", "done"} else CANARY, how=how, **planted)
    except ZeroDivisionError:
        assert how == "break_down"
    (said,) = await books.entries()
    assert CANARY.encode() not in msgspec.json.encode(said)


async def test_what_is_found_by_its_path_is_named_and_can_be_read(books: Books) -> None:
    await books.ask(WRITE, shelf="a\u202eb\x00" + "c" * 1000, how="commit")
    ((_, entry),) = await books.entries()
    assert entry.about["shelf"] == "a\ufffdb\ufffd" + "c" * (trail.LONGEST - 4)


async def test_the_operator_is_known_without_an_account(books: Books) -> None:
    await books.ask(WRITE, operator(WORKSPACE), how="refuse")
    assert [(entry.kind, entry.name, entry.account) for _, entry in await books.entries()] == [
        ("operator", "operator", None)
    ]


async def test_a_question_that_finds_nothing_is_known_by_its_ids(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    async def miss(ports: Ports, question: Write) -> None:
        raise NotFound("no such book")

    monkeypatch.setitem(STEPS, "miss", miss)
    await books.ask(WRITE, shelf=CANARY, how="miss", book=JO)
    ((_, entry),) = await books.entries()
    assert (entry.outcome, entry.about) == ("not_found", {"book": str(JO)})
