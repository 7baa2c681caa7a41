"""A stream that is a file: who asks for events gets its pieces, everybody else the file, by its name and whole."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import pytest
from litestar.exceptions import LitestarException

from services.kernel import events
from services.kernel.app import create_app, serve_hosts
from services.kernel.calls import Caller, LocalCalls, Piece
from services.kernel.errors import Conflict, NotFound
from services.kernel.openapi import describe
from tests.kernel.asgi import Reply, request
from tests.kernel.organ import EVERYBODY, SHEET, Named

EVENTS = {"Accept": "text/event-stream"}


class Printer:
    def __init__(self) -> None:
        self.begun, self.revoked = asyncio.Event(), asyncio.Event()
        self.closed = False

    async def sheet(self, _: object, caller: Caller, question: Named) -> AsyncGenerator[Piece, None]:
        try:
            if question.name == "none":
                raise NotFound("there is no such sheet")
            if question.name == "slow":
                self.begun.set()
                await asyncio.Event().wait()
            yield Piece(data=b"\x00\xff", media_type="application/x-notes", name="sheet.notes")
            if question.name == "torn":
                raise Conflict("the page is torn")
            if question.name == "revoked":
                self.revoked.set()
            yield Piece(data=b"da")
            yield Piece(data=b"", lacks="the second voice")
        finally:
            self.closed = True


async def ask(
    printer: Printer, name: str, headers: dict[str, str] | None = None, *, leaving: asyncio.Event | None = None
) -> Reply:
    calls = LocalCalls()
    calls.serve(None, {SHEET: printer.sheet})

    @contextmanager
    def watched(_: Caller) -> Iterator[asyncio.Event]:
        yield printer.revoked

    hosts = serve_hosts("127.0.0.1:8080")
    app = create_app(calls, calls.endpoints, hosts=hosts, identify=EVERYBODY, watched=watched, public=True)
    return await request(app, "GET", f"/v1/sheets/{name}", headers=headers, leaving=leaving)


@pytest.mark.parametrize("accept", [None, "*/*", "application/json, */*;q=0.1"])
async def test_who_does_not_ask_for_events_gets_the_file(accept: str | None) -> None:
    printer = Printer()
    reply = await ask(printer, "one", {"Accept": accept} if accept else None)
    assert (reply.status, reply.body) == (200, b"\x00\xffda")
    assert reply.headers["content-type"] == "application/x-notes"
    assert reply.headers["content-disposition"] == 'attachment; filename="sheet.notes"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert printer.closed


async def test_who_asks_for_events_gets_pieces_and_what_is_missing() -> None:
    reply = await ask(Printer(), "one", EVENTS)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *pieces, last = reply.events()
    assert last == ("end", "")
    told = [json.loads(data) for _, data in pieces]
    assert b"".join(base64.b64decode(each["data"]) for each in told) == b"\x00\xffda"
    assert (told[0]["name"], told[-1]["lacks"]) == ("sheet.notes", "the second voice")


async def test_a_file_that_cannot_begin_is_an_ordinary_error() -> None:
    reply = await ask(Printer(), "none")
    assert (reply.status, reply.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["torn", "revoked"])
async def test_a_file_that_breaks_off_has_no_end(name: str) -> None:
    printer = Printer()
    with pytest.raises((LitestarException, Conflict)):
        await ask(printer, name)
    assert printer.closed


async def test_who_leaves_before_a_file_begins_ends_the_work_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FIRST_SECONDS", 0.01)
    printer = Printer()
    await ask(printer, "slow", leaving=printer.begun)
    assert printer.closed


async def test_who_may_ask_no_longer_before_a_file_begins_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FIRST_SECONDS", 0.01)
    printer = Printer()
    asking = asyncio.create_task(ask(printer, "slow"))
    await printer.begun.wait()
    printer.revoked.set()
    assert (await asking).status == 401
    assert printer.closed


def test_the_document_says_that_it_is_a_file() -> None:
    answer = describe([SHEET], "")["paths"]["/v1/sheets/{name}"]["get"]["responses"]["200"]
    assert answer["description"].startswith("The file; to who asks for events, its pieces")
    assert set(answer["content"]) == {"*/*", "text/event-stream"}
