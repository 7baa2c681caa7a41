"""What is done in one workspace is not seen in another, whichever door it comes through."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar

from services.catalogue import load_embedded
from services.contracts import entities
from services.contracts.facts import Admission, Admitted, Collected, Said
from services.kernel.app import create_app, identify_operator, serve_hosts
from services.kernel.messages import envelop, workspace_id
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from services.storage.usecases import index
from tests.kernel.asgi import Reply, request

NAME = entities.hostname("secret.example.org")


class Client:
    """Asks over HTTP in one workspace."""

    def __init__(self, app: Litestar, workspace: str) -> None:
        self._app = app
        self.workspace = workspace

    async def ask(self, method: str, path: str, body: object = b"") -> Reply:
        headers = {"Mirage-Workspace": self.workspace}
        return await request(self._app, method, f"/api/v1{path}", headers=headers, body=body)

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).json()


@pytest.fixture
async def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    monkeypatch.setattr(index, "GATHER", 0.01)
    nowhere = tmp_path / "nowhere.json"
    nowhere.write_text(json.dumps({"version": 1, "entries": []}))
    settings = Settings(data=str(tmp_path / "data"), dial_table=str(nowhere), resolvers=("192.0.2.53",))
    async with Runtime(load_embedded(), settings) as started:
        yield started


@pytest.fixture
def app(runtime: Runtime) -> Litestar:
    return create_app(
        runtime.calls,
        runtime.calls.endpoints,
        hosts=serve_hosts("127.0.0.1:80"),
        identify=identify_operator(),
        prefix="/api",
    )


@pytest.fixture
def ours(app: Litestar) -> Client:
    return Client(app, "ours")


@pytest.fixture
def theirs(app: Litestar) -> Client:
    return Client(app, "theirs")


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_a_scan_is_seen_and_touched_in_its_own_workspace_only(ours: Client, theirs: Client) -> None:
    made = await ours.ask("POST", "/scans", {"targets": ["example.org"], "modules": ["crtsh"]})
    scan = made.json()["id"]
    assert [one["id"] for one in await ours.get("/scans")] == [scan]
    assert await theirs.get("/scans") == []
    about = [
        ("GET", ""), ("GET", "/plan"), ("GET", "/items"), ("GET", "/progress"), ("GET", "/export?format=jsonl"),
        ("GET", "/standing?value=example.org"), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/stop"),
        ("POST", "/retry"), ("POST", "/verify"), ("POST", "/replay"), ("DELETE", ""),
    ]  # fmt: skip
    for method, path in about:
        assert (await theirs.ask(method, f"/scans/{scan}{path}")).status == 404, (method, path)
    assert (await theirs.ask("GET", f"/scans/{scan[:8]}")).status == 404
    assert (await theirs.ask("GET", "/scans/last")).status == 404
    assert (await ours.ask("GET", "/scans/last")).json()["id"] == scan


async def test_a_module_is_set_for_one_workspace_only(ours: Client, theirs: Client) -> None:
    changed = await ours.ask("PUT", "/modules/crtsh", {"enabled": False})
    assert changed.json()["enabled"] is False
    assert (await ours.get("/modules/crtsh"))["enabled"] is False
    assert (await theirs.get("/modules/crtsh"))["enabled"] is True
    assert [one["enabled"] for one in await theirs.get("/modules") if one["declared"]["id"] == "crtsh"] == [True]


async def test_an_entity_is_known_in_the_workspace_that_collected_it_only(
    runtime: Runtime, ours: Client, theirs: Client
) -> None:
    made = await ours.ask("POST", "/scans", {"targets": ["example.org"], "modules": ["crtsh"]})
    scan = UUID(made.json()["id"])
    await collect(runtime, "ours", scan)

    async def indexed() -> bool:
        return bool((await ours.get("/entities?text=secret"))["total"])

    await eventually(indexed)
    assert [one["value"] for one in await ours.get("/entity?value=secret.example.org")] == ["secret.example.org"]
    assert (await ours.get(f"/scans/{scan}/stored"))["claims"] == 1
    nothing = {
        "/entities?text=secret": lambda said: said["total"] == 0 and said["entities"] == [],
        "/entities": lambda said: said["entities"] == [],
        "/entity?value=secret.example.org": lambda said: said == [],
    }
    for path, empty in nothing.items():
        assert empty(await theirs.get(path)), path
    about = [
        *(f"/scans/{scan}/{what}" for what in ("stored", "claims", "records")),
        f"/diff?before={scan}&after={scan}",
    ]
    for path in (*about, f"/entity?value=secret.example.org&scan={scan}", f"/entities?scan={scan}"):
        assert (await ours.ask("GET", path)).status == 200, path
        assert (await theirs.ask("GET", path)).status == 404, path


async def test_an_upload_is_there_for_its_workspace_only(ours: Client, theirs: Client) -> None:
    kept = await ours.ask("POST", "/blobs", {"content": "d3d3Cm1haWwK"})
    digest = kept.json()["digest"]
    assert (await ours.get(f"/blobs/{digest}"))["content"] == "d3d3Cm1haWwK"
    assert (await theirs.ask("GET", f"/blobs/{digest}")).status == 404


async def collect(runtime: Runtime, workspace: str, scan: UUID) -> None:
    """Say what a collector and scans would say of one name."""
    said = Collected(
        scan=scan, run=1, batch=uuid4(), item=uuid4(), module="crtsh", version=1,
        subject=entities.domain("example.org"), part=0, at=1, said=(Said(NAME, ()),), outcome="found", parts=1,
    )  # fmt: skip
    admitted = Admitted(scan=scan, ordinal=1, admissions=(Admission(NAME, "in_scope", 0),))
    for source, message in (("collector", said), ("scans", admitted)):
        envelope = envelop(message, source=source, workspace=workspace_id(workspace), id=uuid4())
        await runtime.ports[source].bus.publish([envelope])
