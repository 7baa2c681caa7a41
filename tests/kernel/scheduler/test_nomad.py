"""The facade of Nomad on a real one."""

import asyncio
import json
import urllib.request
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from services.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from services.kernel.scheduler import JobStatus
from services.kernel.scheduler import nomad as nomad_module
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from tests.servers.jobs import job
from tests.servers.running import Server as Running

pytestmark = pytest.mark.server

LIMIT = 60


def ask(server: Running, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", data, timeout=10) as answer:
        text = answer.read()
        return json.loads(text) if text else None


async def run(nomad: Nomad, hcl: str, /, **variables: Any) -> JobStatus:
    made = await nomad.parse(hcl, variables)
    await nomad.register(made)
    async with asyncio.timeout(LIMIT):
        return await nomad.settle(made["ID"])


async def output(nomad: Nomad, allocation: str, **options: Any) -> bytes:
    return b"".join([chunk async for chunk in nomad.logs(allocation, "main", **options)])


async def test_a_job_runs_with_its_variables_and_says_where(nomad: Nomad, name: str) -> None:
    status = await run(nomad, job(name), count=2, text="it is on")
    assert status.settled
    assert [(each.state, each.healthy, each.node, each.reason) for each in status.allocations] == [
        ("running", True, "mirage", "")
    ] * 2
    assert [group.running for group in status.groups] == [group.count for group in status.groups] == [2]
    assert status.deployment is not None
    assert status.deployment.state == "successful"
    assert all(each.ports["http"].startswith("127.0.0.1:") for each in status.allocations)
    assert await output(nomad, status.allocations[0].id) == b"it is on\n"
    assert [(line.wanted, line.running) for line in await nomad.jobs(name)] == [(2, 2)]


@pytest.mark.parametrize("text", ['${x} %{ if } "quoted" \\ back', "two\nlines\tand a tab"])
async def test_a_text_given_to_a_variable_is_taken_as_it_is(nomad: Nomad, name: str, text: str) -> None:
    made = await nomad.parse(job(name), {"text": text})
    assert made["TaskGroups"][0]["Tasks"][0]["Config"]["args"][-1] == text


async def test_a_variable_that_the_job_does_not_have_is_refused(nomad: Nomad, name: str) -> None:
    with pytest.raises(Invalid, match="no variable colour"):
        await nomad.parse(job(name), {"colour": "red"})


async def test_a_value_of_the_wrong_type_is_refused(nomad: Nomad, name: str) -> None:
    with pytest.raises(Invalid, match="count"):
        await nomad.parse(job(name), {"count": "many"})


async def test_what_is_no_job_is_refused(nomad: Nomad) -> None:
    with pytest.raises(Invalid, match="closing brace"):
        await nomad.parse('job "x" {')


async def test_a_job_that_would_not_run_is_refused_with_the_reason(nomad: Nomad, name: str) -> None:
    assert await nomad.validate(await nomad.parse(job(name))) == ""
    wrong = await nomad.parse(job(name), {"count": -1})
    for asked in (nomad.validate(wrong), nomad.register(wrong)):
        with pytest.raises(Invalid, match="count can't be negative"):
            await asked
    with pytest.raises(Invalid, match="driver"):
        await nomad.validate(await nomad.parse(job(name).replace('"raw_exec"', '""')))


async def test_a_plan_says_what_would_change_and_changes_nothing(nomad: Nomad, name: str) -> None:
    fresh = await nomad.plan(await nomad.parse(job(name)))
    assert (fresh.kind, fresh.index, fresh.updates) == ("Added", 0, {"web": {"Place": 1}})
    with pytest.raises(NotFound):
        await nomad.status(name)
    await run(nomad, job(name))
    same = await nomad.plan(await nomad.parse(job(name)))
    assert (same.kind, same.changes) == ("None", ())
    more = await nomad.plan(await nomad.parse(job(name), {"count": 3}))
    assert more.changes == ("job › web: Count: 1 → 3",)
    assert more.updates == {"web": {"Place": 2, "InPlaceUpdate": 1}} or more.updates == {
        "web": {"Place": 2, "Ignore": 1}
    }


async def test_a_plan_says_why_a_job_could_not_be_placed(nomad: Nomad, name: str) -> None:
    planned = await nomad.plan(await nomad.parse(job(name, memory=9_000_000)))
    assert planned.failures == ("web: 1 of 1 nodes have no memory left",)
    docker = job(name).replace('"raw_exec"', '"docker"').replace("command ", 'image = "x"\n command ')
    planned = await nomad.plan(await nomad.parse(docker))
    assert planned.failures == ("web: 1 of 1 nodes do not satisfy 'missing drivers'",)


async def test_a_job_that_waits_for_room_says_so(nomad: Nomad, name: str) -> None:
    await nomad.register(await nomad.parse(job(name, memory=9_000_000)))
    async with asyncio.timeout(LIMIT), aclosing(nomad.watch(name)) as seen:
        async for status in seen:
            if status.waiting:
                break
    assert status.waiting == ("web: 1 of 1 nodes have no memory left",)
    assert not status.settled


async def test_a_job_that_fails_says_why(nomad: Nomad, name: str) -> None:
    with pytest.raises(Conflict, match="main: Exit Code: 3"):
        await run(nomad, job(name, "exit 3"))
    status = await nomad.status(name)
    assert status.allocations[0].state == "failed"
    assert status.allocations[0].tasks[0].failed


async def test_a_job_that_was_given_up_is_begun_anew_once_it_is_stopped(
    nomad: Nomad, name: str, tmp_path: Path
) -> None:
    hcl = job(name, f"test -e {tmp_path}/there && exec sleep 600")
    for old, new in (
        ('"0s"', '"1s"'),
        ('"20s"', '"2s"'),
        ('"30s"', '"6s"'),
        ('"fail"', '"delay"'),
        ("attempts = 0", "attempts = 1"),
    ):
        hcl = hcl.replace(old, new, 1)
    for _ in range(2):
        with pytest.raises(Conflict, match="Failed due to"):
            await run(nomad, hcl)
    (tmp_path / "there").touch()
    await nomad.stop_given_up(name)
    began = await run(nomad, hcl)
    await nomad.stop_given_up(name)
    assert await nomad.status(name) == began
    await nomad.stop_given_up(f"{name}-nothing")


async def test_a_job_that_was_overtaken_is_not_registered(nomad: Nomad, name: str) -> None:
    made = await nomad.parse(job(name))
    first = await nomad.register(made, index=0)
    with pytest.raises(Conflict):
        await nomad.register(made, index=0)
    await nomad.register(made, index=first.index)


async def test_scaling_is_kept_with_its_message_and_over_a_new_version(
    nomad: Nomad, cluster: Running, name: str
) -> None:
    await run(nomad, job(name))
    await nomad.scale(name, "web", 3, "the queue is long")
    async with asyncio.timeout(LIMIT):
        status = await nomad.settle(name)
    assert len([each for each in status.allocations if each.runs]) == 3
    history = ask(cluster, f"/v1/job/{name}/scale")["TaskGroups"]["web"]["Events"]
    assert [(event["Count"], event["Message"]) for event in history] == [(3, "the queue is long")]
    await nomad.register(await nomad.parse(job(name), {"text": "new"}), keep_counts=True)
    assert (await nomad.status(name)).groups[0].count == 3
    await nomad.register(await nomad.parse(job(name), {"text": "newer"}))
    assert (await nomad.status(name)).groups[0].count == 1
    with pytest.raises(Invalid):
        await nomad.scale(name, "nothing", 3, "")


async def test_scaling_a_job_that_somebody_else_has_changed_or_is_bringing_out_is_a_conflict(
    nomad: Nomad, name: str
) -> None:
    before = await run(nomad, job(name))
    await nomad.scale(name, "web", 2, "quicker", index=before.index)
    async with asyncio.timeout(LIMIT):
        now = await nomad.settle(name)
    with pytest.raises(Conflict, match="index"):
        await nomad.scale(name, "web", 1, "too late", index=before.index)
    assert (await nomad.status(name)).groups[0].count == 2
    await nomad.scale(name, "web", 1, "in time", index=now.index)
    await nomad.register(await nomad.parse(job(name, "exit 1"), {"count": 2}))
    with pytest.raises(Conflict, match="active deployment"):
        await nomad.scale(name, "web", 1, "while a version is brought out")


async def test_what_waits_for_room_is_said_until_it_is_to_be_no_more(nomad: Nomad, cluster: Running, name: str) -> None:
    (node,) = await nomad.nodes()
    memory = ask(cluster, f"/v1/node/{node.id}")["NodeResources"]["Memory"]["MemoryMB"]
    await run(nomad, job(name, memory=memory // 3))
    await nomad.scale(name, "web", 5, "more than there is room for")
    async with asyncio.timeout(LIMIT):
        while not (status := await nomad.status(name)).waiting:
            await asyncio.sleep(0.05)
        assert status.groups[0].running < 5
        await nomad.register(await nomad.parse(job(name, memory=memory // 3), {"count": 1}))
        while (await nomad.status(name)).waiting:
            await asyncio.sleep(0.05)


async def test_a_job_that_scales_and_is_registered_unchanged_stays_the_version_that_it_is(
    nomad: Nomad, name: str
) -> None:
    scaling = "scaling {\n min = 1\n max = 4\n }\n count = var.count"
    text = job(name).replace("count = var.count", scaling)
    await run(nomad, text)
    await nomad.scale(name, "web", 2, "the queue is long")
    async with asyncio.timeout(LIMIT):
        before = await nomad.settle(name)
    for _ in range(2):
        registered = await nomad.register(await nomad.parse(text), keep_counts=True)
        after = await nomad.status(name)
        assert (after.version, after.index, after.groups[0].count) == (before.version, registered.index, 2)
    await nomad.register(await nomad.parse(text.replace("max = 4", "max = 3")), keep_counts=True)
    assert (await nomad.status(name)).version == before.version + 1
    await nomad.register(await nomad.parse(text))
    assert (await nomad.status(name)).groups[0].count == 1


async def test_all_of_a_job_is_restarted_one_after_the_other(nomad: Nomad, name: str) -> None:
    await run(nomad, job(name), count=2)
    assert await nomad.restart(name) == 2
    status = await nomad.status(name)
    assert [each.tasks[0].restarts for each in status.allocations] == [1, 1]
    assert all(each.runs for each in status.allocations)
    await nomad.restart_allocation(status.allocations[0].id, "main")


async def test_one_is_restarted_when_the_checks_of_the_one_before_have_passed(nomad: Nomad, name: str) -> None:
    slow = "sleep 1; exec python3 -m http.server --bind 127.0.0.1 $NOMAD_PORT_http"
    status = await run(nomad, checked(job(name, slow)), count=2)
    places = [each.ports["http"].split(":") for each in status.allocations]
    restarting = asyncio.create_task(nomad.restart(name))
    seen = set()
    while not restarting.done():
        seen.add(tuple([await listens(host, int(port)) for host, port in places]))
        await asyncio.sleep(0.02)
    assert await restarting == 2
    assert seen == {(True, True), (False, True), (True, False)}


async def test_when_one_does_not_become_ready_those_after_it_are_left_alone(
    nomad: Nomad, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nomad_module, "READY", 3.0)
    serve = "exec python3 -m http.server --bind 127.0.0.1 $NOMAD_PORT_http"
    once = f"mkdir $NOMAD_TASK_DIR/begun || exec sleep 600; {serve}"
    await run(nomad, checked(job(name, once)), count=2)
    with pytest.raises(Unavailable, match="is not ready 3 s after it was restarted"):
        await nomad.restart(name)
    assert sorted(each.tasks[0].restarts for each in (await nomad.status(name)).allocations) == [0, 1]


def checked(hcl: str) -> str:
    """A job whose allocations Nomad asks whether they listen."""
    check = 'check {\ntype = "tcp"\ninterval = "1s"\ntimeout = "1s"\n}'
    service = f'service {{\nprovider = "nomad"\nport = "http"\n{check}\n}}'
    return hcl.replace('    task "main" {', f'{service}\n    task "main" {{')


async def listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def test_what_was_written_down_with_a_version_is_remembered(nomad: Nomad, name: str) -> None:
    for revision in ("one", "two"):
        made = await nomad.parse(job(name))
        await nomad.register({**made, "Meta": {"revision": revision}})
    assert (await nomad.status(name)).meta == {"revision": "two"}
    assert [meta["revision"] for meta in await nomad.metas(name)] == ["two", "one"]


async def test_scaling_while_a_version_is_brought_out_is_a_conflict(nomad: Nomad, name: str) -> None:
    await nomad.register(await nomad.parse(checked(job(name))))
    async with asyncio.timeout(30), aclosing(nomad.watch(name)) as seen:
        async for status in seen:
            if status.deployment:
                break
    with pytest.raises(Conflict, match="active deployment"):
        await nomad.scale(name, "web", 3, "")


async def test_a_stopped_job_is_remembered_until_it_is_purged(nomad: Nomad, name: str) -> None:
    await run(nomad, job(name))
    await nomad.stop(name)
    status = await nomad.status(name)
    assert status.stopped
    assert not status.settled
    with pytest.raises(Conflict, match="stopped"):
        await nomad.settle(name)
    await nomad.stop(name, purge=True)
    with pytest.raises(NotFound):
        await nomad.status(name)


async def test_what_is_not_there_is_not_found(nomad: Nomad) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    for asked in (
        nomad.status("nothing"),
        nomad.stop("nothing"),
        nomad.scale("nothing", "web", 1, ""),
        nomad.restart("nothing"),
        nomad.restart_allocation(nobody),
        nomad.drain(nobody, deadline=1),
        nomad.set_eligible(nobody, eligible=False),
        output(nomad, nobody),
        anext(nomad.watch("nothing")),
    ):
        with pytest.raises(NotFound):
            await asked


async def test_output_is_read_from_an_offset_and_followed(nomad: Nomad, name: str) -> None:
    script = (
        "echo one; echo two >&2; while [ ! -e $NOMAD_TASK_DIR/go ]; do sleep 0.05; done; echo three; exec sleep 600"
    )
    status = await run(nomad, job(name, script))
    allocation = status.allocations[0].id
    assert await output(nomad, allocation, kind="stderr") == b"two\n"
    assert await output(nomad, allocation, offset=1) == b"ne\n"
    assert await output(nomad, allocation, offset=3, origin="end") == b"ne\n"
    seen = b""
    async with asyncio.timeout(LIMIT), aclosing(nomad.logs(allocation, "main", follow=True)) as chunks:
        async for chunk in chunks:
            seen += chunk
            if seen == b"one\n":
                with pytest.raises(NotFound):
                    await nomad.restart_allocation("00000000-0000-0000-0000-000000000000")
                (await asyncio.to_thread(_task_folder, nomad, allocation)).joinpath("go").touch()
            if b"three" in seen:
                break
    assert seen == b"one\nthree\n"


async def test_output_in_many_frames_comes_whole(nomad: Nomad, name: str) -> None:
    script = "i=0; while [ $i -lt 30000 ]; do echo line $i }{; i=$((i+1)); done; exec sleep 600"
    status = await run(nomad, job(name, script))
    expected = "".join(f"line {number} }}{{\n" for number in range(30_000)).encode()
    async with asyncio.timeout(LIMIT):
        while (got := await output(nomad, status.allocations[0].id)) != expected:
            assert expected.startswith(got)


async def test_variables_are_written_by_one_at_a_time(nomad: Nomad, name: str) -> None:
    path = f"nomad/jobs/{name}"
    assert await nomad.variable(path) is None
    first = await nomad.put_variable(path, {"password": "s3cret"}, index=0)
    assert await nomad.variable(path) == first
    with pytest.raises(Conflict) as raised:
        await nomad.put_variable(path, {"password": "other"}, index=0)
    assert raised.value.__context__ is raised.value.__cause__ is None, "what Nomad answers has the values in it"
    second = await nomad.put_variable(path, {"password": "third"}, index=first.index)
    assert second.index > first.index
    assert "third" not in repr(second)
    assert await nomad.variables(path) == [path]
    await nomad.drop_variable(path)
    await nomad.drop_variable(path)
    assert await nomad.variable(path) is None


async def test_an_instance_is_dispatched_once_for_a_token(nomad: Nomad, name: str) -> None:
    text = (
        job(name, "cat $${NOMAD_TASK_DIR}/input")
        .replace(
            f'job "{name}" {{', f'job "{name}" {{\n type = "batch"\n parameterized {{\n payload = "required"\n }}\n'
        )
        .replace('driver = "raw_exec"', 'driver = "raw_exec"\n dispatch_payload {\n file = "input"\n }\n')
    )
    text = text[: text.index("update {")] + text[text.index("group ") :]
    await nomad.register(await nomad.parse(text))
    first = await nomad.dispatch(name, b"its payload", token="once")
    assert (await nomad.dispatch(name, b"its payload", token="once")).job == first.job
    other = await nomad.dispatch(name, b"its payload", token="twice")
    assert other.job != first.job
    async with asyncio.timeout(LIMIT), aclosing(nomad.watch(first.job)) as seen:
        async for status in seen:
            if status.allocations and status.allocations[0].state == "complete":
                break
    assert await output(nomad, status.allocations[0].id) == b"its payload"


async def test_each_namespace_has_its_own(nomad: Nomad, cluster: Running, name: str) -> None:
    ask(cluster, "/v1/namespace", {"Name": name})
    other = Nomad(Server.parse(cluster.url), namespace=name)
    try:
        await other.put_variable("shared/path", {"whose": "theirs"})
        assert await nomad.variable("shared/path") is None
        assert await other.variables() == ["shared/path"]
        await run(other, job(name))
        assert [line.id for line in await other.jobs()] == [name]
        with pytest.raises(NotFound):
            await nomad.status(name)
        async with asyncio.timeout(LIMIT), aclosing(other.events(["Job"])) as seen:
            event = await anext(seen)
        assert (event.namespace, event.key) == (name, name)
        await other.stop(name, purge=True)
    finally:
        await other.close()


async def test_events_come_by_topic_from_where_one_was(nomad: Nomad, name: str) -> None:
    await run(nomad, job(name))
    async with asyncio.timeout(LIMIT), aclosing(nomad.events([f"Job:{name}"])) as seen:
        first = await anext(seen)
        second = await anext(seen)
    assert (first.topic, first.type, first.key) == ("Job", "JobRegistered", name)
    assert first.payload["Job"]["ID"] == name
    async with asyncio.timeout(LIMIT), aclosing(nomad.events([f"Job:{name}"], first.index)) as seen:
        assert (await anext(seen)).index == second.index


async def test_nodes_say_what_they_can_do(nomad: Nomad) -> None:
    (node,) = await nomad.nodes()
    assert (node.name, node.state, node.eligible, node.draining) == ("mirage", "ready", True, False)
    assert "raw_exec" in node.drivers
    assert node.version


async def test_nothing_is_taken_from_the_environment(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NOMAD_ADDR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("NOMAD_TOKEN", "nobody's")
    monkeypatch.setenv("NOMAD_NAMESPACE", "nowhere")
    nomad = Nomad(Server.parse(cluster.url))
    assert await nomad.nodes()
    await nomad.ping()
    await nomad.close()


async def test_after_close_nothing_is_asked(cluster: Running) -> None:
    nomad = Nomad(Server.parse(cluster.url))
    await nomad.nodes()
    await nomad.ping()
    assert nomad.measures()["calls_total"] == 1
    await nomad.close()
    await nomad.close()
    for asked in (nomad.nodes(), nomad.ping(), anext(nomad.watch("x")), anext(nomad.events())):
        with pytest.raises((Unavailable, StopAsyncIteration)):
            await asked


def _task_folder(nomad: Nomad, allocation: str) -> Any:
    import os
    from pathlib import Path

    from tests.servers.running import SHARED

    return Path(os.environ[SHARED]) / "nomad/agents/nomad-client/alloc" / allocation / "main/local"
