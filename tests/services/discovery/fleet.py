"""A small fleet: instances on loopback that say what a test has them say, and what a scheduler would know of them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from services.kernel.directory import Directory, Instance
from services.kernel.errors import Conflict, MirageError, NotFound
from services.kernel.scheduler import Allocation, Deployment, Group, JobStatus, Registered


class Told:
    """An instance: what it answers at ``/health/ready`` and ``/metrics``; with ``hangs`` nothing at all."""

    def __init__(self) -> None:
        self.status = 200
        self.ready: Any = {"status": "ready"}
        self.metrics = b""
        self.hangs = False
        self.address = ""
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        said = self.metrics if scope["path"] == "/metrics" else json.dumps(self.ready).encode()
        status = 200 if scope["path"] == "/metrics" else self.status
        await send({"type": "http.response.start", "status": status, "headers": []})
        for start in range(0, len(said), 1000):
            await send({"type": "http.response.body", "body": said[start : start + 1000], "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    def measure(self, *, waiting: int = 0, handled: float = 0.0, busy: float = 0.0, more: str = "") -> None:
        self.metrics = (
            f"process_cpu_seconds_total {busy}\n"
            f'mirage_messages_total{{consumer="scans__take"}} {handled}\n'
            f'mirage_consumer_waiting{{consumer="scans__take"}} {waiting}\n'
            f"{more}\n"
        ).encode()


@asynccontextmanager
async def instance(directory: Directory, service: str = "scans", id: str = "scans-1") -> AsyncIterator[Told]:
    """One that runs and is in the directory."""
    told = Told()
    config = uvicorn.Config(told, log_config=None, lifespan="off", timeout_graceful_shutdown=0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve([listener]))
        told.address = f"127.0.0.1:{listener.getsockname()[1]}"
        await directory.register(Instance(service, id, told.address, {"host": "here", "version": "1"}))
        try:
            yield told
        finally:
            server.force_exit = server.should_exit = True
            await task


def job(
    name: str = "scans",
    count: int = 1,
    *,
    deployment: str = "successful",
    waiting: tuple[str, ...] = (),
    **changes: Any,
) -> JobStatus:
    rollout = Deployment(id="d", version=1, state=deployment, says="", groups=())
    group = Group(name=name, count=count, queued=0, starting=0, running=count, failed=0, lost=0)
    known: dict[str, Any] = {
        "id": f"mirage-{name}", "type": "service", "state": "running", "version": 1, "stopped": False, "stable": True,
        "index": 1, "submitted": 0, "groups": (group,), "allocations": (), "deployment": rollout, "waiting": waiting,
    }  # fmt: skip
    return JobStatus(**{**known, **changes})


def allocation(reason: str, desired: str = "run") -> Allocation:
    return Allocation(
        id="a", name="a", group="scans", version=1, node="node", node_id="n", desired=desired, state="failed",
        healthy=False, canary=False, ports={}, tasks=(), reason=reason, created=0, changed=0,
    )  # fmt: skip


class Jobs:
    """What a scheduler knows, and what it was told to do."""

    def __init__(self, *jobs: JobStatus) -> None:
        self.jobs = {each.id: each for each in jobs}
        self.error: MirageError | None = None
        self.refuses: MirageError | None = None
        self.scaled: list[tuple[str, int]] = []
        self.restarted: list[str] = []

    async def status(self, job: str) -> JobStatus:
        if self.error is not None:
            raise self.error
        if job not in self.jobs:
            raise NotFound(f"there is no job {job}")
        return self.jobs[job]

    async def scale(self, job_id: str, group: str, count: int, message: str, *, index: int = 0) -> Registered:
        if self.refuses is not None:
            raise self.refuses
        if index not in {0, self.jobs[job_id].index}:
            raise Conflict("the job has another index")
        self.scaled.append((job_id, count))
        self.jobs[job_id] = job(group, count)
        return Registered(evaluation="", index=2)

    async def restart(self, job: str) -> int:
        self.restarted.append(job)
        return 2

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
