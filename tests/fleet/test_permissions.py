"""What is rendered for Nomad, Consul, NATS and Redis is accepted by them, and lets each do what it declares."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from services.catalogue import SERVICES, load_service, load_services
from services.cli.fleet import programs
from services.cli.fleet.ports import Ports
from services.cli.fleet.secrets import Secrets, keep_secrets
from services.cli.fleet.users import nats_authorization, redis_users, urls
from services.cli.rendering.jobs import job_name
from services.contracts.endpoints import SET_KEY
from services.contracts.facts import Deleted
from services.contracts.resources import NewKey
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.cache.redis import RedisCache
from services.kernel.cache.redis_admission import provide_users
from services.kernel.calls import Entry, operator
from services.kernel.directory import Instance
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.errors import Denied, MirageError
from services.kernel.locks.consul import ConsulLocks
from services.kernel.messages import envelop, message_type, workspace_id
from services.kernel.runtime import Runtime
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from services.kernel.service import Service
from services.kernel.settings import Settings
from services.kernel.values.consul import ConsulValues
from tests.servers.plugin import require
from tests.servers.running import KINDS, Kind
from tests.servers.running import Server as Running

pytestmark = pytest.mark.server

OwnServer = Callable[[str | Kind], Running]
WORKSPACE = workspace_id("default")
MANAGEMENT = str(uuid4())
ON_BUS = [service for service in load_services() if "bus" in service.needs]


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return keep_secrets(tmp_path / "fleet", SERVICES)


# Nomad


@pytest.mark.parametrize("driver", ["raw_exec", "docker"])
@pytest.mark.parametrize("name", SERVICES)
async def test_a_job_is_accepted_by_nomad_and_would_be_placed(
    shared_server: Callable[[str], Running], name: str, driver: str
) -> None:
    nomad = Nomad(Server.parse(shared_server("nomad").url))
    text = (programs.ROOT / f"jobs/{name}.nomad.hcl").read_text("utf-8")
    job = await nomad.parse(text, {"driver": driver, "environment": {"MIRAGE_LOG": "debug"}, "revision": "1"})
    assert job["ID"] == job_name(name)
    assert await nomad.validate(job) == ""
    planned = await nomad.plan(job)
    assert planned.kind == "Added"
    assert planned.failures == () if driver == "raw_exec" else "missing drivers" in planned.failures[0]
    (group,) = job["TaskGroups"]
    assert [task["Name"] for task in group["Tasks"]] == [*(["migrate"] if load_service(name).migrations else []), name]
    await nomad.close()


@pytest.mark.parametrize("name", SERVICES)
def test_a_job_is_accepted_by_nomads_own_program(shared_server: Callable[[str], Running], name: str) -> None:
    address = f"-address=http://127.0.0.1:{shared_server('nomad').port}"
    file = str(programs.ROOT / f"jobs/{name}.nomad.hcl")
    for words, accepted in (("validate", 0), ("plan", 1)):  # 1: it would be placed
        command = [programs.find("nomad"), "job", words, address, file]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == accepted, done.stderr + done.stdout


# Consul


class Acl:
    """A Consul that lets nobody do anything without a token."""

    def __init__(self, server: Running) -> None:
        self.server = server

    def run(self, *words: str) -> Any:
        """Call Consul's own program as the one who may do everything."""
        where = [f"-http-addr=http://127.0.0.1:{self.server.port}", f"-token={MANAGEMENT}"]
        command = [programs.find("consul"), *words[:-1], *where, words[-1]]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def token(self, name: str) -> str:
        """A token of one service, with its policy alone."""
        rules = programs.ROOT / f"consul/policies/{name}.hcl"
        policy = json.loads(self.run("acl", "policy", "create", f"-name={uuid4()}", "-format=json", f"-rules=@{rules}"))
        made = json.loads(self.run("acl", "token", "create", "-format=json", f"-policy-id={policy['ID']}"))
        return str(made["SecretID"])

    def url(self, name: str) -> Server:
        return Server.parse(f"consul://:{self.token(name)}@127.0.0.1:{self.server.port}/mirage")


@pytest.fixture(scope="module")
def acl(stable: Any) -> Iterator[Acl]:
    plain = KINDS["consul"]

    def command(server: Running) -> list[str]:
        tokens = f'initial_management = "{MANAGEMENT}" agent = "{MANAGEMENT}"'
        return [
            *plain.command(server),
            "-hcl",
            f'acl {{ enabled = true default_policy = "deny" tokens {{ {tokens} }} }}',
        ]

    require("consul")
    server = stable.own(structs.replace(plain, command=command))
    opened = Acl(server)
    end = time.monotonic() + 60
    while True:  # until the leader has the first token
        try:
            opened.run("acl", "token", "list", "-format=json")
            break
        except AssertionError:
            assert time.monotonic() < end
            time.sleep(0.05)
    yield opened
    stable.give_back(server)


@pytest.mark.parametrize("name", SERVICES)
def test_intentions_are_accepted_by_consul_and_name_who_asks(acl: Acl, name: str) -> None:
    acl.run("config", "write", str(programs.ROOT / f"consul/intentions/{name}.hcl"))
    kept = json.loads(acl.run("config", "read", "-kind=service-intentions", f"-name={job_name(name)}"))
    allowed = {each["Name"] for each in kept["Sources"] if each["Action"] == "allow"}
    asks = {job_name(each.name) for each in load_services() if any(one.service == name for one in each.asks)}
    answers = {job_name("gateway")} if load_service(name).answers else set()
    looks = {"mirage-discovery", "mirage-prometheus"}  # how each is, and what it has measured
    assert allowed == (asks | answers | looks) - {job_name(name)}
    assert [each["Action"] for each in kept["Sources"] if each["Name"] == "*"] == ["deny"]


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_makes_itself_known_sees_all_and_is_nobody_else(acl: Acl, name: str) -> None:
    directory = ConsulDirectory(acl.url(name))
    other = next(each for each in SERVICES if each != name)
    await directory.ping()
    await directory.register(Instance(name, f"{name}-{uuid4().hex[:6]}", "127.0.0.1:1", {}))
    assert len(await directory.survey(name)) == 1
    await directory.survey(other)
    with pytest.raises(Denied):
        await directory.register(Instance(other, f"{other}-false", "127.0.0.1:1", {}))
    for known in await directory.survey(name):
        await directory.deregister(name, known.instance.id)
    await directory.close()


async def test_settings_are_written_by_their_keeper_and_read_by_whom_they_are_for(acl: Acl) -> None:
    async with AsyncExitStack() as stack:
        values = {}
        for name in ("configuration", "collector", "discovery", "storage"):
            values[name] = ConsulValues(acl.url(name))
            stack.push_async_callback(values[name].close)
        await values["configuration"].put_all(
            {f"settings/{name}": name.encode() for name in ("collector", "discovery")} | {"keys/shodan": b"sealed"}
        )
        for name in ("collector", "discovery"):
            async with aclosing(values[name].watch("settings/")) as watched:
                assert await anext(watched) == {f"settings/{name}": name.encode()}
        assert {name: len(await each.read("keys/")) for name, each in values.items()} == {
            "configuration": 1, "collector": 1, "discovery": 0, "storage": 0,
        }  # fmt: skip
        for name in ("collector", "discovery", "storage"):
            with pytest.raises(Denied):
                await values[name].put_all({f"settings/{name}": b"mine"})


@pytest.mark.parametrize("name", SERVICES)
async def test_who_needs_locks_has_them_and_nobody_else(acl: Acl, name: str) -> None:
    locks = ConsulLocks(acl.url(name))
    if "locks" in load_service(name).needs:
        async with locks.held("scaling") as token:
            assert token > 0
    else:
        with pytest.raises(Denied):
            async with asyncio.timeout(10), locks.held("scaling"):
                pass
    await locks.close()


# NATS


def with_text(text: str) -> Kind:
    """A NATS server with text of its configuration, as its job has it."""
    nats = KINDS["nats"]

    def command(server: Running) -> list[str]:
        (server.folder / "nats.conf").write_text(text)
        return [*nats.command(server), "-c", str(server.folder / "nats.conf")]

    return structs.replace(nats, command=command)


@pytest.fixture
def bus_of(own_server: OwnServer, secrets: Secrets) -> Callable[[Service], str]:
    server = own_server(with_text(nats_authorization(load_services(), secrets)))
    ports = structs.replace(Ports(), nats=server.port)
    return lambda service: urls(service.name, secrets.services[service.name], ports)["bus"]


async def eventually(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(bus_of: Callable[[Service], str], folder: Path) -> AsyncIterator[dict[str, Runtime]]:
    """Every service that needs the bus, each in a process's place of its own and under its own user."""
    async with AsyncExitStack() as stack:
        yield {
            service.name: await stack.enter_async_context(
                Runtime([service], Settings(data=str(folder / service.name), bus=bus_of(service)), works=False)
            )
            for service in ON_BUS
        }


async def taken(runtime: Runtime, service: str) -> int:
    async with runtime.ports[service].sql.read() as view:
        row = await view.fetch_one("SELECT COUNT(*) FROM inbox")
    return int(row[0]) if row else 0


async def has_said_all(runtime: Runtime, service: str) -> bool:
    async with runtime.ports[service].sql.read() as view:
        return await view.fetch("SELECT position FROM outbox") == []


async def test_services_talk_under_their_own_users_as_they_declare(
    bus_of: Callable[[Service], str], tmp_path: Path
) -> None:
    with capture_logs() as logged:
        async with running(bus_of, tmp_path) as runtimes:
            async with runtimes["scans"].ports["scans"].outbox.unit() as unit:
                unit.emit(Deleted(scan=uuid4()), workspace=WORKSPACE, key="deleted")
            key = NewKey(name="shodan", secret="0123456789abcdef")
            await runtimes["configuration"].calls.ask(SET_KEY, key, operator(WORKSPACE))
            # The registry hears what the collector announces, and users what was done.
            for name in ("collector", "storage", "registry", "users"):
                await eventually(lambda name=name: taken(runtimes[name], name))
            for name, runtime in runtimes.items():
                assert not runtime._failed.done(), name
                await runtime.ping()
                if "sql" in runtime.services[0].needs:
                    await eventually(lambda runtime=runtime, name=name: has_said_all(runtime, name))
    assert [line for line in logged if "may not" in str(line) or "permission" in str(line).lower()] == []


@pytest.mark.parametrize("service", ON_BUS, ids=lambda service: service.name)
async def test_a_service_says_what_it_declares_and_nothing_else(
    bus_of: Callable[[Service], str], tmp_path: Path, service: Service
) -> None:
    message_of = envelop(Deleted(scan=uuid4()), source=service.name, workspace=WORKSPACE, id=uuid4())
    async with running(bus_of, tmp_path):
        bus = JetStreamBus(Server.parse(bus_of(service)))
        for message in sorted({each for one in ON_BUS for each in one.publishes}, key=message_type):
            # Its subject alone decides: nobody reads this one.
            named = service.name if issubclass(message, Entry) else ""
            said = structs.replace(message_of, id=uuid4(), type=message_type(message), filter=named)
            if message in service.publishes:
                await bus.publish([said])
                if named:  # and of what another one did it says nothing
                    with pytest.raises(Denied):
                        await bus.publish([structs.replace(said, id=uuid4(), filter=f"not{named}")])
            else:
                with pytest.raises(Denied):
                    await bus.publish([said])
        await bus.close()


async def test_nobody_without_a_user_is_let_in(bus_of: Callable[[Service], str]) -> None:
    scans = Server.parse(bus_of(ON_BUS[0]))
    for wrong in (structs.replace(scans, user="", password=""), structs.replace(scans, password="guessed")):
        bus = JetStreamBus(wrong)
        with pytest.raises(MirageError):
            await bus.ping()
        await bus.close()


# Redis


async def test_each_has_its_own_keys_in_redis_and_none_of_its_neighbours(
    own_server: OwnServer, secrets: Secrets
) -> None:
    redis = KINDS["redis"]
    # As if all of them needed it.
    services = [structs.replace(each, needs=(*each.needs, "cache")) for each in load_services()]

    def command(server: Running) -> list[str]:
        (server.folder / "users.acl").write_text("\n".join((*redis_users(services, secrets, Ports()), "")))
        return [*redis.command(server), "--aclfile", str(server.folder / "users.acl")]

    server = own_server(structs.replace(redis, command=command))
    ports = structs.replace(Ports(), redis=server.port)
    for service in services:
        own = Server.parse(urls(service.name, secrets.services[service.name], ports)["cache"])
        cache = RedisCache(own)
        await cache.set("key", service.name.encode(), 60.0)
        assert await cache.get("key") == service.name.encode()
        await cache.ping()
        await cache.close()
        neighbour = next(each.name for each in services if each.name != service.name)
        for wrong in (
            structs.replace(own, path=neighbour),
            structs.replace(own, password="guessed"),
            structs.replace(own, user="", password=""),
        ):
            cache = RedisCache(wrong)
            with pytest.raises(Denied):
                await cache.get("key")
            await cache.close()


async def test_users_of_a_redis_that_runs_become_those_of_the_file(own_server: OwnServer, secrets: Secrets) -> None:
    """A version with one more service, one more command for another, and one service less."""
    older = ("user default off", "user mirage on >secret ~* &* +@all", "user registry on >guessed ~registry:* +get")
    redis = KINDS["redis"]

    def command(server: Running) -> list[str]:
        (server.folder / "users.acl").write_text("\n".join((*older, "user gone on nopass ~* +@all", "")))
        return [*redis.command(server), "--aclfile", str(server.folder / "users.acl")]

    server = own_server(structs.replace(redis, command=command))
    ports = structs.replace(Ports(), redis=server.port)
    services = [structs.replace(each, needs=(*each.needs, "cache")) for each in load_services()]
    lines = redis_users(services, secrets, ports)
    with pytest.raises(Denied):
        await provide_users(Server.parse(f"redis://mirage:wrong@127.0.0.1:{server.port}"), lines)
    await provide_users(Server.parse(f"redis://mirage:secret@127.0.0.1:{server.port}"), lines)
    admin = Server.parse(f"redis://mirage:{secrets.admin}@127.0.0.1:{server.port}")
    await provide_users(admin, lines)
    for service in services:
        cache = RedisCache(Server.parse(urls(service.name, secrets.services[service.name], ports)["cache"]))
        await cache.set("key", b"value", 60.0)
        assert await cache.add("number", 1, 60.0) == 1
        await cache.close()
    for login in ("gone:any", "registry:guessed"):
        cache = RedisCache(Server.parse(f"redis://{login}@127.0.0.1:{server.port}/registry"))
        with pytest.raises(Denied):
            await cache.get("key")
        await cache.close()
