"""What a scheduler says of jobs and nodes. Times are microseconds since 1970 in UTC; ids are the scheduler's own.

There is one, Nomad (`services.kernel.scheduler.nomad`): a fleet has it, and an embedded Mirage needs none.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

#: A job as Nomad's JSON has it.
Job = Mapping[str, Any]

#: The states of an allocation that has ended for good.
ENDED: Final = frozenset({"complete", "failed", "lost"})
#: The types of jobs that end.
BATCH: Final = frozenset({"batch", "sysbatch"})


class Task(Struct, frozen=True, kw_only=True):
    """One process of an allocation; ``state`` is pending, running or dead, ``events`` are sentences, oldest first."""

    name: str
    state: str
    failed: bool
    restarts: int
    started: int | None
    events: tuple[str, ...]


class Allocation(Struct, frozen=True, kw_only=True):
    """One instance of a group on a node: what it is to be (``desired``: run or stop) and what it is (``state``).

    ``state``: pending, running, complete, failed, lost or unknown. ``healthy`` is None until its deployment has judged.
    ``ports``: label to host:port. ``reason`` says why it is pending or failed, and is empty otherwise.
    """

    id: str
    name: str
    group: str
    version: int
    node: str
    node_id: str
    desired: str
    state: str
    healthy: bool | None
    canary: bool
    ports: Mapping[str, str]
    tasks: tuple[Task, ...]
    reason: str
    created: int
    changed: int

    @property
    def runs(self) -> bool:
        return self.desired == "run" and self.state == "running"


class Rollout(Struct, frozen=True, kw_only=True):
    """How far one group of a deployment is."""

    group: str
    desired: int
    placed: int
    healthy: int
    unhealthy: int
    canaries: int
    promoted: bool


class Deployment(Struct, frozen=True, kw_only=True):
    """How one version of a job is brought out; ``state``: running, paused, successful, failed, cancelled and more."""

    id: str
    version: int
    state: str
    says: str
    groups: tuple[Rollout, ...]


class Group(Struct, frozen=True, kw_only=True):
    """How many instances of a group there are to be, and how many there are in each state."""

    name: str
    count: int
    queued: int
    starting: int
    running: int
    failed: int
    lost: int


class JobStatus(Struct, frozen=True, kw_only=True):
    """A job as it is now. ``state``: pending, running or dead; ``index`` changes whenever the job itself does.

    ``waiting``: why instances cannot be placed, a sentence a group. ``deployment`` is the newest, if there is any.
    ``meta`` is what whoever registered this version wrote down with it: by that, one that was taken back is told.
    """

    id: str
    type: str
    state: str
    version: int
    stopped: bool
    stable: bool
    index: int
    submitted: int
    groups: tuple[Group, ...]
    allocations: tuple[Allocation, ...]
    deployment: Deployment | None
    waiting: tuple[str, ...]
    meta: Mapping[str, str] = {}

    @property
    def settled(self) -> bool:
        """As many instances of this version run as there are to be, and its deployment, if any, has succeeded.

        Of a batch job: all of them are complete.
        """
        if self.stopped or (self._rollout is not None and self._rollout.state != "successful"):
            return False
        states = {"complete"} if self.type in BATCH else {"running"}
        there = [each.group for each in self._current if each.desired == "run" and each.state in states]
        return all(there.count(group.name) >= group.count for group in self.groups)

    @property
    def given_up(self) -> str:
        """Why it will not settle, or nothing while it may."""
        if self.stopped:
            return "it is stopped"
        rollout = self._rollout
        failed = rollout is not None and rollout.state in {"failed", "cancelled"}
        if self.settled or not (failed or self.state == "dead"):
            return ""
        reasons = sorted({each.reason for each in self._current if each.reason})
        said = [rollout.says] if rollout is not None and failed else []
        return "; ".join([*said, *reasons, *self.waiting]) or "it has ended"

    @property
    def _current(self) -> list[Allocation]:
        return [each for each in self.allocations if each.version == self.version]

    @property
    def _rollout(self) -> Deployment | None:
        """The deployment of this version."""
        here = self.deployment is not None and self.deployment.version == self.version
        return self.deployment if here else None


class JobLine(Struct, frozen=True, kw_only=True):
    """A job in the list of all: how many instances there are to be, and how many run."""

    id: str
    type: str
    state: str
    stopped: bool
    version: int
    wanted: int
    running: int


class Plan(Struct, frozen=True, kw_only=True):
    """What registering a job would do. ``kind``: Added, Edited, Deleted or None.

    ``changes``: a line for each thing that differs; ``updates``: for each group how many instances are placed, updated
    in place or anew, stopped …; ``failures``: why some could not be placed; ``index``: of the job that it was made for.
    """

    kind: str
    index: int
    changes: tuple[str, ...]
    updates: Mapping[str, Mapping[str, int]]
    failures: tuple[str, ...]
    warnings: str


class Registered(Struct, frozen=True, kw_only=True):
    """What came of registering, stopping, scaling or dispatching: its evaluation, and the job's index then."""

    evaluation: str
    index: int
    warnings: str = ""
    job: str = ""


class Node(Struct, frozen=True, kw_only=True):
    """A machine that runs jobs. ``state``: initializing, ready, down or disconnected; ``drivers``: the healthy ones."""

    id: str
    name: str
    address: str
    state: str
    eligible: bool
    draining: bool
    version: str
    drivers: tuple[str, ...]


class Variable(Struct, frozen=True):
    """What is kept under a path; ``index`` changes with each write. Its text never shows the values."""

    path: str
    items: Mapping[str, str]
    index: int

    def __repr__(self) -> str:
        return f"Variable({self.path!r}, {sorted(self.items)}, {self.index})"


class Event(Struct, frozen=True, kw_only=True):
    """What happened: ``topic`` (Job, Allocation, Deployment, Node …), ``type`` and ``key`` (an id), in Nomad's words.

    ``payload`` is the thing as it is then, as Nomad's JSON has it.
    """

    index: int
    topic: str
    type: str
    key: str
    namespace: str
    payload: Mapping[str, Any]
