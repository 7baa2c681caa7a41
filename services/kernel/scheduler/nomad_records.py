"""From Nomad's JSON to ours: it has null for empty lists and maps, times as numbers or text, reasons in pieces."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from services.kernel.scheduler import (
    Allocation,
    Deployment,
    Event,
    Group,
    JobLine,
    JobStatus,
    Node,
    Plan,
    Rollout,
    Task,
    Variable,
)

Json = Mapping[str, Any]

#: Events of a task that say nothing of why it does not run.
ROUTINE: Final = frozenset({"Received", "Task Setup", "Started", "Building Task Directory", "Downloading Artifacts"})
#: How many of its last sentences make up the reason of a task.
SENTENCES: Final = 2


def job_status(
    job: Json, summary: Json, allocations: list[Json], deployment: Json | None, evaluations: list[Json]
) -> JobStatus:
    return JobStatus(
        id=job["ID"],
        type=job["Type"],
        state=job["Status"],
        version=job["Version"],
        stopped=bool(job["Stop"]),
        stable=bool(job["Stable"]),
        index=job["JobModifyIndex"],
        submitted=job["SubmitTime"] // 1_000,
        groups=_groups(summary, {group["Name"]: group["Count"] or 0 for group in job["TaskGroups"] or ()}),
        allocations=tuple(sorted(map(allocation, allocations), key=lambda each: (each.group, each.created, each.id))),
        deployment=_deployment(deployment) if deployment else None,
        waiting=tuple(_waiting(evaluations)),
        meta=meta(job),
    )


def meta(job: Json) -> Mapping[str, str]:
    return job.get("Meta") or {}


def is_ready(checks: Json, since: int) -> bool:
    """Whether all checks of an allocation passed after ``since``; Nomad says whole seconds, and nothing of Consul's."""
    return all(each["Status"] == "success" and each["Timestamp"] * 1_000_000 > since for each in checks.values())


def job_line(found: Json) -> JobLine:
    return JobLine(
        id=found["ID"],
        type=found["Type"],
        state=found["Status"],
        stopped=bool(found["Stop"]),
        version=found["Version"],
        wanted=found["GroupCountSum"],
        running=sum(each["ClientStatus"] == "running" for each in found["Allocs"] or ()),
    )


def allocation(stub: Json) -> Allocation:
    tasks = tuple(_task(name, state) for name, state in sorted((stub.get("TaskStates") or {}).items()))
    judged = stub.get("DeploymentStatus") or {}
    shared = (stub.get("AllocatedResources") or {}).get("Shared") or {}
    return Allocation(
        id=stub["ID"],
        name=stub["Name"],
        group=stub["TaskGroup"],
        version=stub["JobVersion"],
        node=stub["NodeName"],
        node_id=stub["NodeID"],
        desired=stub["DesiredStatus"],
        state=stub["ClientStatus"],
        healthy=judged.get("Healthy"),
        canary=bool(judged.get("Canary")),
        ports={port["Label"]: f"{port['HostIP']}:{port['Value']}" for port in shared.get("Ports") or ()},
        tasks=tasks,
        reason=_reason(stub, tasks),
        created=stub["CreateTime"] // 1_000,
        changed=stub["ModifyTime"] // 1_000,
    )


def plan(answer: Json) -> Plan:
    difference = answer.get("Diff") or {"Type": "None"}
    annotations = answer.get("Annotations") or {}
    return Plan(
        kind=difference["Type"],
        index=answer["JobModifyIndex"],
        changes=tuple(_changes(difference, "job")),
        updates={
            group: {what: count for what, count in counts.items() if count}
            for group, counts in (annotations.get("DesiredTGUpdates") or {}).items()
        },
        failures=tuple(_failures(answer.get("FailedTGAllocs"))),
        warnings=answer.get("Warnings") or "",
    )


def node(stub: Json) -> Node:
    drivers = stub.get("Drivers") or {}
    return Node(
        id=stub["ID"],
        name=stub["Name"],
        address=stub["Address"],
        state=stub["Status"],
        eligible=stub["SchedulingEligibility"] == "eligible",
        draining=bool(stub["Drain"]),
        version=stub["Version"],
        drivers=tuple(sorted(name for name, driver in drivers.items() if driver["Healthy"])),
    )


def variable(answer: Json) -> Variable:
    return Variable(answer["Path"], answer.get("Items") or {}, answer["ModifyIndex"])


def events(frame: Json) -> Iterator[Event]:
    for each in frame.get("Events") or ():
        yield Event(
            index=frame["Index"],
            topic=each["Topic"],
            type=each["Type"],
            key=each["Key"],
            namespace=each.get("Namespace") or "",
            payload=each.get("Payload") or {},
        )


def _groups(summary: Json, counts: Mapping[str, int]) -> tuple[Group, ...]:
    found = summary.get("Summary") or {}
    return tuple(
        Group(
            name=name,
            count=counts.get(name, 0),
            **{state: found.get(name, {}).get(state.capitalize()) or 0 for state in
               ("queued", "starting", "running", "failed", "lost")},
        )
        for name in sorted(counts or found)
    )  # fmt: skip


def _task(name: str, state: Json) -> Task:
    said = [event for event in state.get("Events") or () if event["Type"] not in ROUTINE]
    return Task(
        name=name,
        state=state["State"],
        failed=state["Failed"],
        restarts=state["Restarts"],
        started=_time(state.get("StartedAt")),
        events=tuple(filter(None, (event["DisplayMessage"] or event["Message"] for event in said))),
    )


def _reason(stub: Json, tasks: Iterable[Task]) -> str:
    """Why an allocation that should run does not, or why it failed."""
    if stub["ClientStatus"] not in {"pending", "failed", "lost"}:
        return ""
    said = [
        f"{task.name}: {'; '.join(task.events[-SENTENCES:])}"
        for task in tasks
        if task.events and (task.failed or task.state == "pending")
    ]
    return " · ".join(said) or stub.get("ClientDescription") or stub.get("DesiredDescription") or ""


def _deployment(found: Json) -> Deployment:
    return Deployment(
        id=found["ID"],
        version=found["JobVersion"],
        state=found["Status"],
        says=found["StatusDescription"],
        groups=tuple(
            Rollout(
                group=name,
                desired=state["DesiredTotal"],
                placed=state["PlacedAllocs"],
                healthy=state["HealthyAllocs"],
                unhealthy=state["UnhealthyAllocs"],
                canaries=state["DesiredCanaries"],
                promoted=state["Promoted"],
            )
            for name, state in sorted((found["TaskGroups"] or {}).items())
        ),
    )


def _waiting(evaluations: Iterable[Json]) -> Iterator[str]:
    """A blocked evaluation is one that still waits for room; what it could not place is in it."""
    for evaluation in evaluations:
        if evaluation["Status"] == "blocked":
            yield from _failures(evaluation.get("FailedTGAllocs"))


def _failures(failed: Json | None) -> Iterator[str]:
    for group, metric in sorted((failed or {}).items()):
        yield f"{group}: {'; '.join(_obstacles(metric)) or 'no node takes it'}"


def _obstacles(metric: Json) -> Iterator[str]:
    nodes = metric["NodesEvaluated"]
    if not nodes:
        yield "no node is eligible"
    for pool, count in (metric.get("NodesAvailable") or {}).items():
        if not count:
            yield f"there is no node in datacenter {pool}"
    for constraint, count in (metric.get("ConstraintFiltered") or {}).items():
        yield f"{count} of {nodes} nodes do not satisfy {constraint!r}"
    for dimension, count in (metric.get("DimensionExhausted") or {}).items():
        yield f"{count} of {nodes} nodes have no {dimension} left"
    for quota in metric.get("QuotaExhausted") or ():
        yield f"the quota {quota} is used up"


def _changes(difference: Json, place: str) -> Iterator[str]:
    """A line for each thing that differs, outermost first; what was added or removed whole is one line."""
    for field in difference.get("Fields") or ():
        if difference["Type"] == "Edited" and field["Type"] != "None":
            yield f"{place}: {field['Name']}: {field['Old'] or '(nothing)'} → {field['New'] or '(nothing)'}"
    for kind in ("TaskGroups", "Tasks", "Objects"):
        for inner in difference.get(kind) or ():
            name = f"{place} › {inner['Name']}"
            if inner["Type"] in {"Added", "Deleted"}:
                yield f"{name}: {inner['Type'].lower()}"
            elif inner["Type"] == "Edited":
                yield from _changes(inner, name)


def _time(text: str | None) -> int | None:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000) if text else None
