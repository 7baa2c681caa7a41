"""The whole fleet on Nomad does what one process does, for whoever only knows its address."""

import asyncio
import json
import logging
import re
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import asyncpg
import nats
import pytest
import redis.asyncio
from msgspec import structs
from nats.js.api import ConsumerConfig

from services.cli.fleet import leftovers, versions
from services.cli.fleet.infra import USER
from services.cli.fleet.ports import HOST
from services.cli.rendering.jobs import job_name
from services.contracts.endpoints import LIST_SCANS
from services.contracts.keys import KEYS
from services.kernel.bus.jetstream_connection import inbox_of
from services.kernel.calls import Nothing, operator
from services.kernel.directory import Instance
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.errors import Denied, MirageError
from services.kernel.http_calls import Http
from services.kernel.http_questions import Asked
from services.kernel.messages import workspace_id
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from services.kernel.values.consul import ConsulValues
from tests.fleet.conftest import FINDINGS, Undisturbed, found
from tests.fleet.running import SCANNING, Fleet, eventually, instances, sizes
from tests.proof.processes import Lab

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]

#: `-o addopts=--import-mode=importlib --log-cli-level=info` shows what was measured.
MEASURED = logging.getLogger("measured")
NOBODY = 65534
CALLER = operator(workspace_id("default"))


def test_a_scan_through_the_gateway_finishes_and_claims_what_an_embedded_one_does(
    fleet: Fleet, lab: Lab, how: tuple[str, ...], undisturbed: Undisturbed
) -> None:
    fleet.ask("scan", lab.target, "--quiet", *how, seconds=SCANNING)
    assert fleet.last()["state"] == "finished"
    claims = fleet.canonical()
    differing = set(claims) ^ set(undisturbed.claims)
    assert not differing, "\n".join(sorted(differing))
    assert claims == undisturbed.claims
    assert len(claims) > 1000


def test_it_judges_on_its_own_stores_as_one_process_does(fleet: Fleet, undisturbed: Undisturbed) -> None:
    findings = found(fleet.ask(*FINDINGS))
    assert findings == undisturbed.findings
    assert len(findings) > 10


def test_what_it_found_is_reported_exported_and_drawn(fleet: Fleet, tmp_path: Path) -> None:
    for name in ("bundle.zip", "report.pdf", "found.stix.json", "found.xlsx", "graph.svg"):
        verb = {"bundle.zip": ("report", "last", "--bundle"), "report.pdf": ("report", "last")}.get(name)
        verb = verb or (("graph", "show", "last") if name == "graph.svg" else ("export", "last"))
        fleet.ask(*verb, "--output", str(tmp_path / name))
    assert "0 faults" in fleet.ask("verify", str(tmp_path / "bundle.zip"))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert json.loads((tmp_path / "found.stix.json").read_bytes())["type"] == "bundle"
    assert (tmp_path / "found.xlsx").read_bytes().startswith(b"PK")
    assert (tmp_path / "graph.svg").read_bytes().startswith(b"<svg")
    path = fleet.ask("graph", "path", "last", f"www.{fleet.lab.target}", fleet.lab.target, "--limit", "1")
    assert "said by" in path


async def test_bringing_it_up_again_changes_nothing(fleet: Fleet) -> None:
    nomad = fleet.nomad()
    try:
        before = await allocations(nomad, fleet)
        await asyncio.to_thread(fleet.up)
        assert await allocations(nomad, fleet) == before
        assert len(before) >= len(fleet.deployment.services) + 5
    finally:
        await nomad.close()


async def allocations(nomad: Nomad, fleet: Fleet) -> set[tuple[str, int]]:
    """All that runs, and how often its tasks were begun anew."""
    jobs = [job.id for job in await nomad.jobs()]
    return {
        (each.id, sum(task.restarts for task in each.tasks))
        for job in jobs
        for each in (await nomad.status(job)).allocations
        if each.runs
    }


def test_its_status_is_well_and_says_where_everything_runs(fleet: Fleet) -> None:
    standing = fleet.standing()
    assert standing["well"], standing
    assert standing["agents"] == {"consul": True, "nomad-server": True, "nomad-client": True}
    assert {store["name"] for store in standing["stores"] if store["running"] and store["node"]} == {
        "nats", "postgresql", "mongodb", "elasticsearch", "redis", "neo4j"
    }  # fmt: skip
    for service in standing["fleet"]["services"]:
        assert service["running"] == service["wanted"] == len(service["instances"]) >= 1
        for instance in service["instances"]:
            assert instance["condition"] == "well"
            assert re.fullmatch(r"127\.0\.0\.1:\d+", instance["address"])
            assert instance["host"]
            assert instance["version"]
    table = fleet.fleet("status").stdout
    assert all(name in table for name in ("Agents: all run", "nats", "scans", "gateway"))


def test_nobody_else_on_the_machine_reads_or_changes_what_is_in_its_folder(fleet: Fleet) -> None:
    """Whoever knows the path of a file, as Consul tells the ids of allocations, is stopped by a folder above it."""
    places = [str(place) for place in fleet.folder.rglob("*")]
    assert any(place.endswith("/scans/secrets/settings.env") for place in places)
    readable, writable = (of_nobody(flag, places) for flag in ("-r", "-w"))
    assert not writable
    open_to_all = tuple(f"{fleet.folder / name}" for name in (versions.VERSIONS, versions.LAUNCHERS, fleet.users.name))
    assert [place for place in readable if not place.startswith(open_to_all)] == []
    assert readable, "nobody could look at all"


def of_nobody(flag: str, places: list[str]) -> set[str]:
    """For which of these `test` says so where it is run by a user who has nothing here."""
    look = f'for place; do [ {flag} "$place" ] && echo "$place"; done; true'
    done = subprocess.run(
        ["xargs", "-0", "sh", "-c", look, "sh"], input="\0".join(places),
        user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {*done.stdout.splitlines()}


async def test_what_is_added_to_it_stays_until_it_is_taken_away(fleet: Fleet) -> None:
    nomad = fleet.nomad()
    try:
        await asyncio.to_thread(fleet.up, "--with", "metrics")
        assert "prometheus" in running_stores(fleet)
        await nomad.stop(job_name("prometheus"))
        await asyncio.to_thread(fleet.up)
        assert "prometheus" in running_stores(fleet)
        await asyncio.to_thread(fleet.up, "--without", "metrics")
        assert "prometheus" not in {store["name"] for store in fleet.standing()["stores"]}
        assert await fleet.well()
    finally:
        await nomad.close()


def running_stores(fleet: Fleet) -> set[str]:
    return {store["name"] for store in fleet.standing()["stores"] if store["running"]}


async def test_collectors_are_added_and_taken_away(fleet: Fleet) -> None:
    nomad = fleet.nomad()
    try:
        fleet.fleet("scale", "collector", "2", seconds=300)
        assert len(await instances(nomad, "collector")) == 2
        await eventually(lambda: known(fleet, "collector", 2))
        fleet.fleet("scale", "collector", "1", seconds=300)
        await eventually(lambda: known(fleet, "collector", 1))
        fleet.fleet("scale", "collector", "auto")
    finally:
        await nomad.close()


async def test_collectors_follow_the_work_that_waits_for_them(fleet: Fleet, lab: Lab) -> None:
    """Work of minutes in a batch or two: their consumer has nothing waiting, as one of them takes all of it."""
    sites = [name["name"] for name in lab.truth()["names"] if name["web"] and name["resolves"]]
    for site in sites:
        lab.fault(site, "slow", seconds=1)
    scale = 'scale={"collector": {"least": 1, "most": 2}}'
    fleet.ask("settings", "set", "discovery", scale, "behind=1", "settles=1", "lingers=15")
    fleet.ask("settings", "set", "collector", "items_at_once=1")
    only = ("--profile", "deep", "--authorised", "the test", "--module", "crawl")
    scan = fleet.start("scan", *(f"http://{site}/" for site in sites), "--quiet", *only)
    try:
        await eventually(lambda: known(fleet, "collector", 2))
        assert fleet.last()["state"] == "running"
        fleet.ask("scans", "stop", "last")
        lab.heal()
        await eventually(lambda: known(fleet, "collector", 1))
    finally:
        scan.wait(60)
        lab.heal()
        fleet.ask("settings", "set", "collector", "items_at_once=")
        fleet.ask("settings", "set", "discovery", "scale=", "behind=", "settles=", "lingers=")


async def known(fleet: Fleet, service: str, count: int) -> bool:
    """Whether the directory has so many instances of a service, all of them well."""
    standing = await asyncio.to_thread(fleet.standing)
    (found,) = (each for each in standing["fleet"]["services"] if each["name"] == service)
    conditions = [instance["condition"] for instance in found["instances"]]
    return conditions == ["well"] * count and found["running"] == count


async def test_no_question_fails_while_instances_are_restarted_one_after_the_other(fleet: Fleet) -> None:
    """They are in nobody's way: out of the directory before they end, in it again when they are ready."""
    nomad = fleet.nomad()
    failed: list[str] = []
    asked = 0
    try:
        fleet.fleet("scale", "scans", "2", seconds=300)
        before = {each: fleet.process_of(each) for each in await instances(nomad, "scans")}
        over = asyncio.Event()

        async def ask() -> None:
            nonlocal asked
            async with fleet.deployment.calls() as calls:
                while not over.is_set():
                    try:
                        await calls.ask(LIST_SCANS, Nothing(), CALLER)
                    except MirageError as error:
                        failed.append(str(error))
                    asked += 1

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        said = await asyncio.to_thread(fleet.fleet, "restart", "scans", seconds=300)
        over.set()
        await asyncio.gather(*asking)
        assert "restarted: 2 instances of scans" in said.stdout
        after = {each: fleet.process_of(each) for each in await instances(nomad, "scans")}
        assert after.keys() == before.keys()
        assert not set(after.items()) & set(before.items())
        MEASURED.info(f"{asked} questions were asked meanwhile")
        assert not failed, failed
        assert asked > 10
        fleet.fleet("scale", "scans", "1", seconds=300)
        fleet.fleet("scale", "scans", "auto")
        await eventually(lambda: known(fleet, "scans", 1))
    finally:
        await nomad.close()


async def test_a_service_that_begins_without_its_database_says_so_and_is_ready_when_that_comes(fleet: Fleet) -> None:
    nomad, http, deployment = fleet.nomad(), Http(), fleet.deployment
    try:
        (allocation,) = (await instances(nomad, "registry")).values()
        url = f"http://{allocation.ports['http']}"

        async def health(path: str) -> tuple[int, str]:
            async with http.request(url, Asked("GET", f"/health/{path}", None), {}, 5) as answer:
                return answer.status, (await answer.read()).decode()

        await nomad.stop(job_name("postgresql"))
        await eventually(lambda: no_instance(nomad, "postgresql"))
        await nomad.restart_allocation(allocation.id)

        async def missing() -> str:
            status, said = await health("ready")
            return said if status == 503 and "postgresql" in said else ""

        said = await eventually(missing)
        assert str(deployment.agents.ports.postgresql) in said
        assert deployment.secrets.services["registry"] not in said
        assert await health("live") == (200, (await health("live"))[1])
        standing = await asyncio.to_thread(fleet.standing)
        assert not standing["well"]
        assert not next(store for store in standing["stores"] if store["name"] == "postgresql")["running"]
        pid = fleet.process_of(allocation.id)
        await asyncio.to_thread(fleet.up)
        assert await fleet.well(), "up ended before all was well"
        assert (await health("ready"))[0] == 200
        assert fleet.process_of(allocation.id) == pid, "it was not alive all the time"
    finally:
        await http.close()
        await nomad.close()


async def no_instance(nomad: Nomad, name: str) -> bool:
    return not [each for each in (await nomad.status(job_name(name))).allocations if each.state == "running"]


async def test_its_events_are_there_for_who_may_see_all(fleet: Fleet, lab: Lab) -> None:
    """As `nats sub 'mirage.evt.>'` shows them."""
    seen: set[str] = set()

    async def note(message: nats.aio.msg.Msg) -> None:
        seen.add(".".join(message.subject.split(".")[1:4]))

    login = {"user": USER, "password": fleet.deployment.secrets.admin}
    connection = await nats.connect(f"nats://{HOST}:{fleet.deployment.agents.ports.nats}", **login)
    try:
        await connection.subscribe("mirage.evt.>", cb=note)
        await connection.flush()
        await asyncio.to_thread(fleet.ask, "scan", lab.target, "--quiet", "--module", "crtsh", seconds=SCANNING)
        await connection.flush()
        assert seen >= {"evt.scans.started", "evt.scans.admitted", "evt.collector.collected", "evt.scans.finished"}
    finally:
        await connection.close()


async def test_a_service_cannot_read_the_database_of_another(fleet: Fleet) -> None:
    own = fleet.setting("registry", "sql")
    connection = await asyncpg.connect(own)
    try:
        assert await connection.fetchval("SELECT current_user") == "registry"
        assert await connection.fetchval("SELECT COUNT(*) FROM outbox") is not None
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SET ROLE scans")
    finally:
        await connection.close()
    for other in ("scans", "storage", "collector", "configuration", "postgres"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(own.rpartition("/")[0] + f"/{other}")


async def test_a_service_cannot_read_the_messages_of_another(fleet: Fleet) -> None:
    """Storage sees what it consumes, and not the commands to collectors."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            refused.append(str(error).lower())

    url = fleet.setting("storage", "bus")
    connection = await nats.connect(url, inbox_prefix=inbox_of("storage").encode(), error_cb=note)
    stream = connection.jetstream(timeout=1)
    spy = ConsumerConfig(durable_name="storage__spies")
    attempts: dict[str, Callable[[], Awaitable[Any]]] = {
        "mirage.cmd.collector.>": lambda: connection.subscribe("mirage.cmd.collector.>"),
        "mirage.evt.>": lambda: connection.subscribe("mirage.evt.>"),
        "mirage.cmd.collector.collect": lambda: connection.publish("mirage.cmd.collector.collect.v1.passive.x", b"{}"),
        "stream.info.cmd_collector": lambda: stream.stream_info("CMD_COLLECTOR"),
        "get.cmd_collector": lambda: stream.get_msg("CMD_COLLECTOR", seq=1),
        "stream.purge.cmd_collector": lambda: stream.purge_stream("CMD_COLLECTOR"),
        "create.cmd_collector": lambda: stream.add_consumer("CMD_COLLECTOR", spy),
    }
    try:
        for what, attempt in attempts.items():
            refused.clear()
            with suppress(nats.errors.TimeoutError):
                await attempt()
            await eventually(lambda what=what: said(refused, what))
    finally:
        await connection.close()


async def said(refused: list[str], what: str) -> bool:
    return any(what in each for each in refused)


async def test_a_service_cannot_read_the_keys_of_another(fleet: Fleet) -> None:
    client = redis.asyncio.from_url(fleet.setting("collector", "cache").rpartition("/")[0])
    stranger = redis.asyncio.from_url(f"redis://{HOST}:{fleet.deployment.agents.ports.redis}")
    try:
        await client.get("collector:anything")
        for command in (("GET", "scans:anything"), ("KEYS", "*"), ("SCAN", "0"), ("FLUSHALL",), ("CONFIG", "GET", "*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                await client.execute_command(*command)
        with pytest.raises(redis.exceptions.AuthenticationError):
            await stranger.get("collector:anything")
    finally:
        await client.aclose()
        await stranger.aclose()


async def test_a_service_cannot_speak_for_another_and_a_stranger_sees_only_who_there_is(fleet: Fleet) -> None:
    own = Server.parse(fleet.setting("collector", "directory"))
    stranger = structs.replace(own, password="")
    async with AsyncExitStack() as stack:
        for login in (own, stranger):
            directory, values = ConsulDirectory(login), ConsulValues(login)
            stack.push_async_callback(directory.close)
            stack.push_async_callback(values.close)
            assert await directory.survey("scans")
            with pytest.raises(Denied):
                await directory.register(Instance("scans", "scans-false", "127.0.0.1:1", {}))
            assert bool(await values.read(KEYS)) is (login is own)


def test_what_its_services_have_in_memory_at_rest_is_told(fleet: Fleet) -> None:
    measured = {what: f"{resident:.0f} ({share:.0f})" for what, resident, share in sizes(fleet.folder)}
    services = {service.name: measured[service.name] for service in fleet.deployment.services}
    MEASURED.info(f"MB resident, and its own share of that: {services}")


def test_ended_it_leaves_no_process_behind(fleet: Fleet) -> None:
    """The last one: it is brought up again where another test needs it."""
    said = fleet.fleet("down", seconds=300).stderr
    assert "left behind" not in said, said
    assert not leftovers.processes(fleet.folder)
    assert not mounts_below(str(fleet.folder))


def mounts_below(folder: str) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text("utf-8").splitlines() if f" {folder}/" in line]
