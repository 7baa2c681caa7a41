"""Nomad, as a fleet sees it: jobs from HCL, where they run and why not, scaling, output, nodes, variables, events."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from services.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from services.kernel.pauses import pauses
from services.kernel.scheduler import (
    ENDED,
    Allocation,
    Event,
    Job,
    JobLine,
    JobStatus,
    Node,
    Plan,
    Registered,
    Variable,
)
from services.kernel.scheduler import nomad_records as records
from services.kernel.scheduler.nomad_calls import Call, Calls
from services.kernel.scheduler.nomad_hcl import Value, declared, literal, variables_file
from services.kernel.scheduler.nomad_streams import Streams
from services.kernel.server import Server

#: Seconds that tasks may take to end when they are restarted: more than the longest kill timeout of our clients.
RESTART: Final = 150.0
#: Seconds that an allocation may take after that until its checks pass, and between two looks at them.
READY: Final = 90.0
LOOK: Final = 0.5


class Nomad:
    """One namespace of one Nomad. Nothing is asked before the first call, and nothing blocks the loop.

    While no server of it answers, or none leads, calls raise `Unavailable` within ten seconds. Besides what a method
    says, it raises `Invalid` for what Nomad refuses, `Denied` when the token does not allow it.
    """

    def __init__(self, server: Server, *, namespace: str = "default", token: str = "") -> None:
        self._calls = Calls(server, namespace, token or server.password)
        self._streams = Streams(self._calls)
        self._namespace = namespace

    async def parse(self, text: str, variables: Mapping[str, Value] | None = None) -> Job:
        """Read a job in HCL with these variables; those not given have their defaults.

        Raises:
            Invalid: it is no job, a variable has the wrong type, or none is called so (which Nomad would ignore).
        """
        given = variables or {}
        if unknown := sorted(given.keys() - declared(text)):
            raise Invalid(f"the job has no variable {', '.join(unknown)}")
        body = {
            "JobHCL": text,
            # What is left out is set when the job is registered; set here, the namespace would be "default".
            "Canonicalize": False,
            "Variables": variables_file(given),
        }
        job = await self._asked(lambda api: api.jobs.request("parse", json=body, method="post").json())
        return {**job, "Namespace": job["Namespace"] or self._namespace}

    async def validate(self, job: Job) -> str:
        """Have Nomad check a job, its drivers' settings too; return its warnings.

        Raises:
            Invalid: the job is none that would run; the text says all that is wrong.
        """
        answer = await self._asked(lambda api: api.validate.validate_job({"Job": job}).json())
        if wrong := answer.get("ValidationErrors"):
            raise Invalid(" · ".join(" ".join(each.replace("*", " ").split()) for each in wrong))
        return answer.get("Warnings") or ""

    async def plan(self, job: Job) -> Plan:
        """Say what registering a job would do, and do nothing."""
        body = {"Job": job, "Diff": True}
        return records.plan(await self._asked(lambda api: api.job.plan_job(_path(job["ID"]), body)))

    async def register(self, job: Job, *, keep_counts: bool = False, index: int | None = None) -> Registered:
        """Run a job, or its new version; with ``keep_counts`` as many instances as it has now.

        One that is as it was stays the version that it is.

        Raises:
            Conflict: ``index`` is given and is not the index of the job as it is (0: there is none yet).
        """
        if index is None and (known := await self._index_of_same(job, keep_counts=keep_counts)):
            return Registered(evaluation="", index=known, job=job["ID"])
        body = {
            "Job": job,
            "PreserveCounts": keep_counts,
            "EnforceIndex": index is not None,
            "JobModifyIndex": index or 0,
        }
        return _registered(job["ID"], await self._asked(lambda api: api.jobs.register_job(body)))

    async def _index_of_same(self, job: Job, *, keep_counts: bool) -> int:
        """The index of a job that Nomad takes for another, once, for an index in its scaling policies; or 0."""
        if not any(group.get("Scaling") for group in job["TaskGroups"]):
            return 0
        if keep_counts:
            with suppress(NotFound):
                counts = {group.name: group.count for group in (await self.status(job["ID"])).groups}
                groups = [{**each, "Count": counts.get(each["Name"], each["Count"])} for each in job["TaskGroups"]]
                job = {**job, "TaskGroups": groups}
        planned = await self.plan(job)
        return planned.index if planned.kind == "Edited" and not planned.changes else 0

    async def stop(self, job: str, *, purge: bool = False) -> Registered:
        """Stop a job; with ``purge`` forget it as well.

        Raises:
            NotFound: there is none.
        """
        answer = await self._asked(
            lambda api: api.job.deregister_job(_path(job), namespace=self._namespace, purge=purge)
        )
        if not answer["JobModifyIndex"]:
            raise NotFound(f"there is no job {job}")
        return _registered(job, answer)

    async def stop_given_up(self, job: str) -> None:
        """Stop a job if it was given up: registered unchanged it would get no other deployment, and stay as it is."""
        with suppress(NotFound):
            status = await self.status(job)
            if status.given_up and not status.stopped:
                await self.stop(job)

    async def jobs(self, prefix: str = "") -> list[JobLine]:
        """All jobs whose ids begin so, by id, stopped ones too as long as Nomad remembers them."""
        found = await self._asked(lambda api: api.jobs.request("statuses", method="get", params=self._scope()).json())
        return sorted(
            (records.job_line(each) for each in found if each["ID"].startswith(prefix)), key=lambda job: job.id
        )

    async def status(self, job: str) -> JobStatus:
        """A job as it is now, with all its allocations that Nomad remembers.

        Raises:
            NotFound: there is none.
        """
        found: JobStatus = await self._asked(lambda api: self._status(api, job))
        return found

    async def watch(self, job: str) -> AsyncGenerator[JobStatus, None]:
        """Yield a job as it is now, and again whenever it, an allocation or its deployment changes, without end.

        While Nomad is away nothing comes; whoever cannot wait sets a time limit.

        Raises:
            NotFound: there is no such job, or no longer.
        """
        wanted = {"Jobs": [{"ID": job, "Namespace": self._namespace}]}
        index, waits = 0, pauses()
        while True:
            try:
                index, _ = await self._streams.change("/v1/jobs/statuses", index, body=wanted)
                status = await self.status(job)
            except Unavailable:
                self._open()
                await asyncio.sleep(next(waits))
                continue
            waits = pauses()
            yield status

    async def settle(self, job: str) -> JobStatus:
        """Wait until a job runs as it is to be, or has done all; the caller sets the time limit.

        Raises:
            Conflict: its deployment has failed, none of it will be tried again, or it was stopped; the text says why.
            NotFound: there is no such job.
        """
        async with aclosing(self.watch(job)) as seen:
            async for status in seen:
                if status.settled:
                    return status
                if said := status.given_up:
                    raise Conflict(f"{job}: {said}")
        raise AssertionError

    async def metas(self, job: str) -> list[Mapping[str, str]]:
        """What was written down with each version of a job that Nomad remembers, newest first.

        Raises:
            NotFound: there is no such job.
        """
        found = await self._asked(
            lambda api: api.job.request(_path(job), "versions", method="get", params=self._scope()).json()
        )
        return [records.meta(version) for version in found["Versions"]]

    async def scale(self, job: str, group: str, count: int, message: str, *, index: int = 0) -> Registered:
        """Have ``count`` instances of a group; Nomad's history of the job keeps the message.

        Raises:
            Conflict: a version of the job is being brought out, or ``index`` is given and is not the job's.
            NotFound: there is no such job.
        """
        body = {"Count": count, "Target": {"Group": group}, "Message": message, "JobModifyIndex": index}
        answer = await self._asked(
            lambda api: api.job.request(_path(job), "scale", json=body, method="post", params=self._scope()).json()
        )
        return _registered(job, answer)

    async def dispatch(
        self, job: str, payload: bytes = b"", meta: Mapping[str, str] | None = None, *, token: str = ""
    ) -> Registered:
        """Start one instance of a parameterized job; again with the same ``token`` while that is known, it is the same.

        ``job`` of what is returned is the instance. Payloads have at most 16 KiB.

        Raises:
            NotFound: there is no such job.
        """
        body = {"Payload": b64encode(payload).decode(), "Meta": dict(meta or {})}
        asked = {**self._scope(), **({"idempotency_token": token} if token else {})}
        answer = await self._asked(
            lambda api: api.job.request(_path(job), "dispatch", json=body, method="post", params=asked).json()
        )
        return _registered(answer["DispatchedJobID"], answer)

    async def restart_allocation(self, allocation: str, task: str = "") -> None:
        """Restart a task of an allocation where it is, or all that run; returns when they were ended and begun.

        Raises:
            NotFound: there is no such allocation.
        """
        body = {"TaskName": task} if task else {}
        path = f"/v1/client/allocation/{_path(allocation)}/restart"
        async with self._streams.request("POST", path, {}, body=body, silence=RESTART) as answer:
            await answer.read()

    async def restart(self, job: str) -> int:
        """Restart all allocations of a job that run, one after the other, each once the one before is well again.

        It is when its tasks run and the checks that Nomad makes of it, if there are any, have passed since.

        Returns:
            how many there were.

        Raises:
            NotFound: there is no such job.
            Unavailable: one is not well in time; those after it were left alone.
        """
        running = [each for each in (await self.status(job)).allocations if each.runs]
        for each in running:
            await self.restart_allocation(each.id)
            try:
                async with asyncio.timeout(READY):
                    await self._is_well_again(job, each)
            except TimeoutError:
                said = f"{each.name} ({each.id[:8]}) is not ready {READY:g} s after it was restarted"
                raise Unavailable(said) from None
        return len(running)

    async def _run_anew(self, job: str, before: Allocation) -> Allocation | None:
        """Wait until the tasks of an allocation run again; None if it is to be no more."""
        async with aclosing(self.watch(job)) as seen:
            async for status in seen:
                now = next((each for each in status.allocations if each.id == before.id), None)
                if now is None or now.desired != "run" or now.state in ENDED:
                    return None
                if _began_anew(before, now):
                    return now
        raise AssertionError  # a watch does not end

    async def _is_well_again(self, job: str, before: Allocation) -> None:
        """Wait until the checks of an allocation have passed since its tasks began anew, or it is to be no more."""
        now = await self._run_anew(job, before)
        if now is None:
            return
        began = max((task.started or 0 for task in now.tasks), default=0)
        while not records.is_ready(await self._checks(now.id), began):  # noqa: ASYNC110  Nomad tells nobody
            await asyncio.sleep(LOOK)

    async def _checks(self, allocation: str) -> Mapping[str, Any]:
        path = f"/v1/client/allocation/{_path(allocation)}/checks"
        async with self._streams.request("GET", path, {}) as answer:
            found: Mapping[str, Any] | None = msgspec.json.decode(await answer.read())
            return found or {}

    def logs(
        self,
        allocation: str,
        task: str,
        kind: Literal["stdout", "stderr"] = "stdout",
        *,
        follow: bool = False,
        offset: int = 0,
        origin: Literal["start", "end"] = "start",
    ) -> AsyncGenerator[bytes, None]:
        """Yield what a task has written, ``offset`` bytes after the start of what is kept or before its end.

        With ``follow`` also what it writes from now on, without end.

        Raises:
            NotFound: there is no such allocation, or its task has not begun yet.
            Unavailable: the stream broke off.
        """
        return self._streams.output(
            _path(allocation),
            {
                "task": task,
                "type": kind,
                "follow": "true" if follow else "false",
                "offset": str(offset),
                "origin": origin,
            },
        )

    async def nodes(self) -> list[Node]:
        return [records.node(stub) for stub in await self._asked(lambda api: api.nodes.get_nodes())]

    async def drain(self, node: str, *, deadline: float) -> None:
        """Have a node's allocations moved elsewhere, those that are left after ``deadline`` seconds ended.

        Raises:
            NotFound: there is no such node.
        """
        spec = {"Deadline": int(deadline * 1e9), "IgnoreSystemJobs": False}
        await self._asked(lambda api: api.node.drain_node_with_spec(_path(node), spec))

    async def set_eligible(self, node: str, *, eligible: bool) -> None:
        """Let a node take allocations, which also ends its draining, or have it take no new ones.

        Raises:
            NotFound: there is no such node.
        """
        if eligible:
            await self._asked(lambda api: api.node.drain_node_with_spec(_path(node), {}, mark_eligible=True))
        else:
            await self._asked(lambda api: api.node.eligible_node(_path(node), ineligible=True))

    async def variable(self, path: str) -> Variable | None:
        """What is kept under a path, or None."""
        try:
            return records.variable(
                await self._asked(lambda api: api.variable.get_variable(_path(path), namespace=self._namespace))
            )
        except NotFound:
            return None

    async def put_variable(self, path: str, items: Mapping[str, str], *, index: int | None = None) -> Variable:
        """Keep ``items`` under a path; with ``index`` only if that is its index (0: if there is nothing).

        Raises:
            Conflict: somebody else has written meanwhile.
        """
        body = {"Path": path, "Namespace": self._namespace, "Items": dict(items)}
        return records.variable(
            await self._asked(
                lambda api: api.variable.create_variable(_path(path), body, namespace=self._namespace, cas=index)
            )
        )

    async def drop_variable(self, path: str) -> None:
        """Forget what is kept under a path, if anything is."""
        await self._asked(lambda api: api.variable.delete_variable(_path(path), namespace=self._namespace))

    async def variables(self, prefix: str = "") -> list[str]:
        """The paths that begin so."""
        found = await self._asked(lambda api: api.variables.get_variables(prefix=prefix, namespace=self._namespace))
        return [stub["Path"] for stub in found or ()]

    def events(self, topics: Sequence[str] = ("*",), after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield events after an index, first those that the server still has (the last hundred or so), without end.

        Topics are ``Topic`` or ``Topic:key``. After a break it goes on from where it was; what happened while a server
        was away that had the events in its memory alone may be missing, so state is read, not counted.
        """
        return self._streams.events(topics, after)

    async def ping(self) -> None:
        """Ask for the leader.

        Raises:
            Unavailable: no server answers, or none leads.
        """
        path = "/v1/status/leader"
        try:
            async with asyncio.timeout(5), self._streams.request("GET", path, {}, silence=5) as answer:
                if await answer.read() in {b'""', b"null"}:
                    raise Unavailable(f"{self._calls.server} has no leader")
        except TimeoutError as error:
            raise Unavailable(f"{self._calls.server} does not answer") from error

    def measures(self) -> dict[str, float]:
        return {
            "calls_total": self._calls.made,
            "call_failures_total": self._calls.failed,
            "stream_reconnects_total": self._streams.reconnects,
        }

    async def close(self) -> None:
        """End the streams, wait for the calls that were begun."""
        await self._streams.close()
        await self._calls.close()

    async def _asked(self, call: Call) -> Any:
        return await self._calls(call)

    def _open(self) -> None:
        if self._calls.closed:
            raise Unavailable(f"{self._calls.server} was closed")

    def _scope(self) -> dict[str, str]:
        return {"namespace": self._namespace}

    def _status(self, api: Any, job: str) -> JobStatus:
        """In one thread, so that the five answers are as near to each other as they can be."""
        path = _path(job)
        found = api.job.get_job(path, namespace=self._namespace)
        only = f"JobID == {literal(job)}"
        return records.job_status(
            found,
            api.job.request(path, "summary", method="get", params=self._scope()).json(),
            api.allocations.get_allocations(filter_=only, resources=True, namespace=self._namespace) or [],
            api.job.request(path, "deployment", method="get", params=self._scope()).json(),
            api.job.get_evaluations(path, namespace=self._namespace) or [],
        )


def _registered(job: str, answer: Mapping[str, Any]) -> Registered:
    return Registered(
        evaluation=answer.get("EvalID") or "",
        index=answer.get("JobModifyIndex") or answer.get("JobCreateIndex") or 0,
        warnings=answer.get("Warnings") or "",
        job=job,
    )


def _began_anew(before: Allocation, now: Allocation) -> bool:
    """Whether all tasks that ran run again."""
    started = {task.name: task.started or 0 for task in before.tasks if task.state == "running"}
    return all(
        task.state == "running" and (task.started or 0) > started[task.name]
        for task in now.tasks
        if task.name in started
    )


def _path(text: str) -> str:
    return quote(text, safe="/")
