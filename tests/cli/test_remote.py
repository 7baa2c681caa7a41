"""The same commands drive a fleet behind a server; one that is away for a while is waited for by whoever follows."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from services.cli import remote
from services.cli.credentials import Token
from services.cli.following import Silent, follow
from services.cli.remote import RemoteCalls, RemoteHull
from services.contracts.endpoints import CHANGE_PASSWORD, CREATE_SCAN, GET_SCAN, LIST_SCANS, LOG_IN
from services.contracts.resources import ChangePassword, LogIn, NewScan, ScanRef
from services.kernel.calls import Endpoint, Nothing, operator
from services.kernel.errors import Invalid, NotFound, Unauthenticated, Unavailable
from services.kernel.http_calls import Broken
from services.kernel.http_questions import Asked
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings
from tests.cli.behind import TOKEN, Served, fleet, fleet_beside
from tests.cli.conftest import Mirage
from tests.services.gateway.hulls import DRUM, HULLS, LOOK, Beat, Beaten, opened

CALLER = operator(workspace_id("default"))
NUMBER = "+41446681800"
PHONE = NewScan(targets=(NUMBER,), modules=("phone",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fleet_beside(tmp_path_factory.mktemp("fleet") / "data") as url:
        yield url


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("MIRAGE_TOKEN", TOKEN)


def test_a_scan_runs_there_is_watched_and_comes_back(mirage: Mirage, server: str, tmp_path: Path) -> None:
    there = ("--server", server, "--workspace", "ours")
    # Into files: the server logs to where this process prints.
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    code, _, err = mirage("scan", NUMBER, "--module", "phone", "--output", str(first), "--quiet", *there)
    assert code == 0, err
    assert "phone_number" in {json.loads(line)["type"] for line in first.read_text().splitlines()}
    code, out, err = mirage("scans", "list", *there)
    assert code == 0, err
    listed = re.search(r"(?m)^ *([0-9a-f]{8})\b.*finished", out)
    assert listed, out
    for words in (("scans", "watch", listed[1], "--quiet"), ("scans", "show", listed[1])):
        code, out, err = mirage(*words, *there)
        assert code == 0, err
    code, _, err = mirage("export", listed[1], "--format", "jsonl", "--output", str(again), *there)
    assert code == 0, err
    assert sorted(again.read_text().splitlines()) == sorted(first.read_text().splitlines())
    assert f"--server {server}" in mirage("scan", NUMBER, "--module", "phone", *there)[1]
    assert not (tmp_path / "share" / "mirage" / "format").exists(), "nothing is kept here"


def test_what_is_not_there_is_said_as_it_is_here(mirage: Mirage, server: str) -> None:
    code, _, err = mirage("scans", "show", "0123abcd", "--server", server)
    assert (code, err.count("\n")) == (1, 1)
    assert "0123abcd" in err
    code, _, err = mirage("show", "nobody.example", "--server", server)
    assert (code, "nothing is known of nobody.example in your workspace;" in err) == (1, True)
    code, _, err = mirage("show", "nobody.example", "--server", server, "--workspace", "ours")
    assert (code, "nothing is known of nobody.example in the workspace ours;" in err) == (1, True)


def test_a_wrong_token_is_refused_and_not_shown(mirage: Mirage, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAGE_TOKEN", "guessed-guessed-guessed")
    code, out, err = mirage("scans", "list", "--server", server)
    assert (code, out) == (1, "")
    assert "the token lets nobody in any more" in err
    assert "guessed" not in err
    monkeypatch.delenv("MIRAGE_TOKEN")
    code, _, err = mirage("scans", "list", "--server", server)
    assert code == 2
    assert f"you are not logged in at {server}: mirage login --server {server}, or set MIRAGE_TOKEN to a token" in err


def test_where_nobody_answers_is_said_at_once(mirage: Mirage) -> None:
    code, _, err = mirage("scans", "list", "--server", "http://127.0.0.1:1")
    assert code == 1
    assert "http://127.0.0.1:1 does not answer" in err


def test_a_folder_and_a_server_are_not_asked_at_once(mirage: Mirage, tmp_path: Path) -> None:
    code, _, err = mirage("scans", "list", "--server", "http://127.0.0.1:1", "--data", str(tmp_path))
    assert code == 2
    assert "either the data folder" in err


def test_a_fleet_is_not_backed_up_from_here(mirage: Mirage, server: str, tmp_path: Path) -> None:
    code, _, err = mirage("backup", str(tmp_path / "copy"), "--server", server)
    assert code != 0
    assert err
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("words", [("list",), ("show", "a"), ("retry", "a"), ("drop", "a")])
def test_dead_letters_of_a_fleet_are_looked_at_where_it_runs(
    mirage: Mirage, server: str, words: tuple[str, ...]
) -> None:
    code, out, err = mirage("dead", *words, "--server", server)
    assert (code, out) == (2, "")
    assert "./mirage fleet dead" in err


def test_a_fleet_is_examined_as_far_as_it_can_be_from_here(mirage: Mirage, server: str) -> None:
    code, out, err = mirage("doctor", "--server", server, "--format", "json")
    assert code == 0, out + err
    checks = {each["check"]: each for each in json.loads(out)}
    assert checks["server"]["says"] == "it answers; 0 scans in your workspace"
    assert "modules" in checks
    assert "disk" not in checks, "the folder of nobody was looked at"


async def test_whoever_follows_goes_on_when_the_server_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = asyncio.Event()
    monkeypatch.setattr(remote, "pauses", lambda *_: iter(lambda: away.set() or 0.01, None))
    async with fleet(tmp_path / "data", works=False) as begun, RemoteHull(Settings(), begun.url, Token(TOKEN)) as hull:
        scan = await hull.calls.ask(CREATE_SCAN, PHONE, CALLER)
        following = asyncio.create_task(follow(hull, CALLER, scan, Silent()))
        while not begun.door._server.server_state.tasks:
            await asyncio.sleep(0.005)
        await begun.door.end()
        await asyncio.wait_for(away.wait(), 30)
        assert not following.done()
        begun.runtime.work()
        await begun.door.begin()
        assert (await asyncio.wait_for(following, 60)).state == "finished"


async def test_a_server_that_stays_away_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "pauses", lambda *_: iter(lambda: 0.01, None))
    monkeypatch.setattr(remote, "PATIENCE", 0.1)
    async with RemoteHull(Settings(), "http://127.0.0.1:1", Token(TOKEN)) as hull:
        assert not await hull.lost(Unavailable("it is away"))


async def test_errors_arrive_as_they_are_there_and_limits_hold(tmp_path: Path) -> None:
    async with fleet(tmp_path / "data", works=False) as begun:
        async with RemoteHull(Settings(), begun.url, Token(TOKEN)) as hull:
            assert await hull.somebody_works()
            with pytest.raises(NotFound):
                await hull.calls.ask(GET_SCAN, ScanRef("0123abcd"), CALLER)
            with pytest.raises(Invalid):
                async with hull.held("relays"):
                    pass
            scan = await hull.calls.ask(CREATE_SCAN, PHONE, CALLER)
            assert [each.id for each in await hull.calls.ask(LIST_SCANS, Nothing(), CALLER)] == [scan.id]
        async with RemoteHull(Settings(), begun.url, Token(TOKEN), "others") as hull:
            assert await hull.calls.ask(LIST_SCANS, Nothing(), CALLER) == ()
        async with RemoteHull(Settings(), begun.url, Token("another")) as hull:
            with pytest.raises(Unauthenticated):
                await hull.calls.ask(LIST_SCANS, Nothing(), CALLER)


async def test_a_question_is_asked_again_of_a_server_that_goes_away_where_that_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = asyncio.Event()
    monkeypatch.setattr(remote, "pauses", lambda *_: iter(lambda: away.set() or 0.01, None))
    async with fleet(tmp_path / "data", works=False) as begun, RemoteHull(Settings(), begun.url, Token(TOKEN)) as hull:
        assert await hull.calls.ask(LIST_SCANS, Nothing(), CALLER) == ()
        await begun.door.end()
        # Nobody can have heard a question that did not arrive, so even a new scan is one.
        asking = asyncio.create_task(hull.calls.ask(CREATE_SCAN, PHONE, CALLER))
        await asyncio.wait_for(away.wait(), 30)
        await begun.door.begin()
        scan = await asyncio.wait_for(asking, 30)
        assert [each.id for each in await hull.calls.ask(LIST_SCANS, Nothing(), CALLER)] == [scan.id]


@pytest.mark.parametrize(
    ("endpoint", "question", "again", "keyed"),
    [
        (LIST_SCANS, Nothing(), True, False),
        (CREATE_SCAN, PHONE, True, True),
        (LOG_IN, LogIn(email="jo@example.org", password="a secret"), False, False),
        (CHANGE_PASSWORD, ChangePassword(old="a secret", new="another"), False, False),
    ],
)
async def test_a_question_that_may_have_been_heard_is_asked_again_only_where_that_does_no_harm(
    endpoint: Endpoint[Any, Any], question: Struct, again: bool, keyed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = RemoteCalls("http://127.0.0.1:1", Token(TOKEN))
    calls._answered = True
    keys: list[str | None] = []

    @asynccontextmanager
    async def broken(url: str, asked: Asked, headers: dict[str, str], *_: object) -> AsyncIterator[None]:
        keys.append(headers.get("Idempotency-Key"))
        raise Broken("it went away")
        yield

    monkeypatch.setattr(calls._http, "request", broken)
    monkeypatch.setattr(remote, "pauses", lambda *_: iter([0.0, 0.0, 100.0]))
    with pytest.raises(Unavailable, match="went away"):
        await calls.ask(endpoint, question, CALLER)
    assert len(keys) == (3 if again else 1)
    assert len(set(keys)) == 1
    assert (keys[0] is not None) is keyed


@pytest.mark.parametrize("kind", HULLS)
async def test_what_must_not_be_done_twice_is_asked_again_until_its_answer_is_there_and_done_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_again = asyncio.Event()
    asked = 0
    monkeypatch.setattr(remote, "pauses", lambda *_: iter(lambda: 0.01, None))

    async with opened(kind) as hull, AsyncExitStack() as stack:

        async def listening(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += scope["method"] == "POST"
            if asked > 1:
                asked_again.set()
            await hull.app(scope, receive, send)

        door = Served(listening)
        await door.begin()
        stack.push_async_callback(door.end)
        calls = RemoteCalls(f"http://localhost:{door.port}", Token("jo"))
        stack.push_async_callback(calls.close)
        await calls.ask(LOOK, Nothing(), CALLER)
        hull.drums.gate.clear()
        asking = asyncio.create_task(calls.ask(DRUM, Beat(drum="a"), CALLER))
        await asyncio.wait_for(hull.drums.begun.wait(), 30)
        for connection in list(door._server.server_state.connections):
            connection.transport.abort()
        await asyncio.wait_for(asked_again.wait(), 30)
        hull.drums.gate.set()
        assert await asyncio.wait_for(asking, 30) == Beaten(1, "boom")
        assert hull.drums.beaten == 1


async def test_a_server_that_takes_a_question_and_says_nothing_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PINGING", 0.1)
    release = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        calls = RemoteCalls(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", Token(TOKEN))
        with pytest.raises(Unavailable, match=r"did not answer within 0\.1 s"):
            await calls.ping()
        await calls.close()
        release.set()
