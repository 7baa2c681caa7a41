"""The job of a service brought out in a new version: registered, and seen to stay, or to be taken back."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from services.cli.fleet.infra import secrets_path
from services.cli.rendering.jobs import job_name
from services.kernel.errors import Conflict, Unavailable
from services.kernel.scheduler import JobStatus
from services.kernel.scheduler.nomad import Nomad
from services.kernel.scheduler.nomad_hcl import Value

#: Seconds for a job to run as it is to be.
SETTLING: Final = 180.0
#: The same where a new version comes beside the old one, and for each instance that follows: Nomad itself gives up
#: what makes no progress (``progress_deadline`` of the jobs), and that is to be heard.
ROLLING: Final = 180.0
EACH: Final = 60.0


class Rollout(Struct, frozen=True):
    """A version of a service's job that was registered; ``before`` is what its Nomad variable had until then."""

    service: str
    meta: Mapping[str, str]
    before: Mapping[str, str] | None


def digest_of(*told: Mapping[str, str]) -> str:
    """What is the same when a service is told the same."""
    return hashlib.sha256(msgspec.json.encode([sorted(each.items()) for each in told])).hexdigest()[:12]


async def begin(
    nomad: Nomad, service: str, text: str, given: Mapping[str, Value], secrets: Mapping[str, str]
) -> Rollout:
    """Register the job of a service with its secrets; its count stays what it is."""
    path = secrets_path(service)
    job = await nomad.parse(text, given)
    kept = await nomad.variable(path)
    await nomad.put_variable(path, secrets)
    await nomad.stop_given_up(job_name(service))
    await nomad.register(job, keep_counts=True)
    return Rollout(service, job["Meta"], kept.items if kept else None)


async def settle(nomad: Nomad, rollout: Rollout, allocations: Path) -> None:
    """Wait until what was registered runs; ``allocations`` is where instances leave their logs.

    Raises:
        Conflict: it did not get well, and was taken back if there was a version before it; so is its variable then.
        Unavailable: it is not well in time.
    """
    job = job_name(rollout.service)
    count = sum(group.count for group in (await nomad.status(job)).groups)
    try:
        said = ""
        status = await settled(nomad, rollout.service, ROLLING + EACH * count)
    except Conflict as error:
        said = str(error).removeprefix(f"{job}: ")
        status = await nomad.status(job)
    if status.meta == rollout.meta and not said:
        return
    said = "; ".join(filter(None, (said, _log_of_failed(status, rollout.service, allocations))))
    if status.meta == rollout.meta:
        raise Conflict(f"{rollout.service} does not get well: {said}")
    if rollout.before is not None:
        await nomad.put_variable(secrets_path(rollout.service), rollout.before)
    wanted, runs = (_named(meta) for meta in (rollout.meta, status.meta))
    raise Conflict(f"{rollout.service} was taken back: {wanted} did not get well, {runs} runs again ({said})")


async def settled(nomad: Nomad, name: str, seconds: float) -> JobStatus:
    """Wait until the job of ``name`` runs as it is to be.

    Raises:
        Conflict: it is given up.
        Unavailable: it is not well in time.
    """
    job = job_name(name)
    try:
        async with asyncio.timeout(seconds):
            return await nomad.settle(job)
    except TimeoutError:
        status = await nomad.status(job)
        said = "; ".join(filter(None, (*status.waiting, *(each.reason for each in status.allocations))))
        raise Unavailable(f"{name} is not well after {seconds:g} s: {said or 'see its logs'}") from None


def _log_of_failed(status: JobStatus, service: str, allocations: Path) -> str:
    """Where the newest instance that did not get well has said why."""
    failed = [each for each in status.allocations if each.healthy is False]
    if not failed:
        return ""
    newest = max(failed, key=lambda each: each.created)
    return f"its log: {allocations / newest.id}/alloc/logs/{service}.stderr.0"


def _named(meta: Mapping[str, str]) -> str:
    return f"revision {meta.get('revision') or '?'} with settings {meta.get('settings') or '?'}"
