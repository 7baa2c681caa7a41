"""A whole fleet on one machine, from nothing to the gateway's answer; doing it again repairs what is missing."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp
from msgspec import Struct, structs

from services.catalogue import load_services
from services.cli.fleet import access, infra, programs, public, rollout, settings, versions
from services.cli.fleet.access import token_of
from services.cli.fleet.agents import LEAVING, Agents
from services.cli.fleet.folder import at_work, keep_extra, read_extra, write_environment
from services.cli.fleet.infra import USER, secrets_path
from services.cli.fleet.leftovers import ALLOCATIONS
from services.cli.fleet.ports import HOST, Ports, refuse_taken
from services.cli.fleet.secrets import OPERATOR, Secrets, keep_secrets, read_secrets
from services.cli.fleet.standing import become_well
from services.cli.fleet.users import NAMESPACE, redis_users, secrets_of_infra, settings_of
from services.cli.rendering.jobs import job_name
from services.kernel.cache.redis_admission import provide_users
from services.kernel.calls import LocalCalls
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.errors import Conflict, Invalid, MirageError, NotFound, Unavailable
from services.kernel.http_calls import HttpCalls
from services.kernel.principals import Signer, private_key
from services.kernel.scheduler.nomad import Nomad
from services.kernel.scheduler.nomad_hcl import Value
from services.kernel.server import Server
from services.kernel.service import Service
from services.kernel.sql.postgres_roles import provide_database

#: Seconds until the gateway answers, once it is well.
ANSWERING: Final = 60.0
#: Seconds after which something takes longer than usual.
LONG: Final = 40.0

MIGRATE: Final = Path("/proc/sys/net/ipv4/tcp_migrate_req")

#: Told of every step: what it is about, and how it went; empty while it is under way.
Told = Callable[[str, str], None]


class Release(Struct, frozen=True):
    """What is brought out: a version of the code, the packages it runs with, what services are told, and secrets."""

    code: Path
    venv: Path
    launchers: Path
    told: Mapping[str, str]
    secrets: Secrets

    @property
    def environment(self) -> Mapping[str, str]:
        """What all instances have in their environment."""
        return {**settings.environment(self.told), "MIRAGE_VENV": str(self.venv)}

    @property
    def variables(self) -> Mapping[str, Value]:
        """What the jobs of all services are given."""
        return {"mirage": str(self.code / "mirage"), "environment": self.environment, "revision": self.code.name}


class Deployment:
    """The fleet in ``folder``; ``extra`` names infrastructure beyond what it needs, and ``less`` what goes of that.

    ``listen``: where its gateway is to listen from now on; ``changes``: what its services are told from now on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ports: Ports | None = None,
        extra: Sequence[str] = (),
        less: Sequence[str] = (),
        listen: str = "",
        changes: Mapping[str, str | None] | None = None,
    ) -> None:
        self.agents = Agents(folder, ports)
        self.folder = self.agents.folder
        self.services = load_services()
        self._listen = listen
        self._changes = changes or {}
        self._extra = tuple(extra)
        self._less = tuple(less)

    @property
    def public(self) -> str:
        """Where the gateway listens: as is said now, or was when the fleet was brought up."""
        return self._listen or public.read(self.folder) or public.USUAL

    @property
    def server(self) -> str:
        """How the gateway is asked on this machine."""
        return public.url_of(self.public)

    @property
    def secrets(self) -> Secrets:
        """See `read_secrets`."""
        return read_secrets(self.folder)

    async def up(self, told: Told) -> None:
        """Bring everything up, each thing when what it stands on is well.

        Raises:
            Unavailable: a program is missing, or something does not get well; the text says what and why.
            Conflict: a port is taken, another process is at work on it, or a version was taken back.
            Invalid: what it was told makes no sense.
        """
        url = self.server
        extra = sorted({*read_extra(self.folder), *self._extra} - {*self._less})
        wanted = [*infra.STANDING_ON, *extra]
        if missing := infra.missing(tuple(wanted)):
            raise Unavailable(f"not installed: {', '.join(missing)}; run tests/servers/build --apt")
        with at_work(self.folder):
            if not self.agents.known:
                public.refuse_taken(self.public)
                refuse_taken(self.agents.ports, {*infra.INFRA} - {*wanted})
                public.keep(self.folder, self.public)
            keep_extra(self.folder, extra)
            infra.open_way(self.folder / "data", for_another=any(map(infra.is_for_another, wanted)))
            async with _step(told, "code"):
                release = await self._make_release(told)
            async with _step(told, "agents"):
                await self.agents.up(lambda what: told("agents", what))
            _hand_over_connections()
            nomad = Nomad(self.agents.nomad)
            try:
                await self._bring_up(nomad, wanted, release, told)
            finally:
                await nomad.close()
            async with _step(told, "entry"):
                await _answers(f"{url}/health/live")
            async with _step(told, "fleet"):
                await become_well(self.agents, self.services)

    async def down(self, told: Callable[[str], None]) -> int:
        """End everything; see `Agents.down`.

        Raises:
            Conflict: another process is at work on it.
        """
        stores = {job_name(name) for name in infra.INFRA}
        with at_work(self.folder):
            return await self.agents.down(told, stores.__contains__)

    @asynccontextmanager
    async def calls(self) -> AsyncIterator[HttpCalls]:
        """Ask the services as the operator of the fleet, whom its secrets make known; no gateway is needed."""
        signer = Signer({OPERATOR: private_key(bytes.fromhex(self.secrets.signing[OPERATOR]))})
        directory = ConsulDirectory(structs.replace(self.agents.consul, path=NAMESPACE))
        calls = HttpCalls(LocalCalls(), directory, signer)
        try:
            yield calls
        finally:
            await calls.close()
            await directory.close()

    async def _make_release(self, told: Told) -> Release:
        choice = settings.choose(self.folder, self._changes, os.environ)
        for remark in choice.remarks:
            told("settings", remark)
        code = await asyncio.to_thread(versions.copy, programs.ROOT, versions.CODE, self.folder / versions.VERSIONS)
        launchers = await asyncio.to_thread(
            versions.copy, programs.LAUNCHERS.parent, [programs.LAUNCHERS.name], self.folder / versions.LAUNCHERS
        )
        own = self.folder / versions.VENVS / versions.packages_of(code)
        venv = Path(choice.told.get(settings.VENV) or own)
        told("code", f"revision {code.name}, with its packages in {venv}")
        await asyncio.to_thread(versions.prepare, code, venv)
        if choice.first:
            settings.keep(self.folder, choice.told)
        return Release(
            code=code,
            venv=venv,
            launchers=launchers / programs.LAUNCHERS.name,
            told=choice.told,
            secrets=keep_secrets(self.folder, (service.name for service in self.services)),
        )

    async def _bring_up(self, nomad: Nomad, wanted: Sequence[str], release: Release, told: Told) -> None:
        if not await _runs(nomad, "gateway") or public.port_of(self.public) != public.port_of(public.read(self.folder)):
            await self._waits_for_public()
        write_environment(self.folder, self.agents.ports, release.secrets.admin, release.variables)
        await self._begin_infra(nomad, wanted, release, told)
        async with _step(told, "users"):
            await self._provide_users(release.secrets)
        await self._begin_services(nomad, release, told)
        settings.keep(self.folder, release.told)
        needed = {meta.get("revision", "") for each in self.services for meta in await nomad.metas(job_name(each.name))}
        await asyncio.to_thread(versions.forget, self.folder, needed)

    async def _waits_for_public(self) -> None:
        """See that nobody listens where the gateway is to; one that was killed or lost does so for a moment still.

        Raises:
            Invalid: somebody does.
        """
        end = monotonic() + LEAVING
        while True:
            try:
                return public.refuse_taken(self.public)
            except Invalid:
                if monotonic() > end:
                    raise
            await asyncio.sleep(0.1)

    async def _begin_infra(self, nomad: Nomad, wanted: Sequence[str], release: Release, told: Told) -> None:
        ports = self.agents.ports
        for name, items in secrets_of_infra(self.services, release.secrets, ports).items():
            await nomad.put_variable(secrets_path(name), items)
        for name in self._less:
            with suppress(NotFound):
                await nomad.stop(job_name(name), purge=True)
        for name in wanted:
            await nomad.stop_given_up(job_name(name))
            await infra.begin(nomad, name, self.folder / "data", ports, release.launchers)

        async def settle(name: str) -> None:
            async with _step(told, name):
                await rollout.settled(nomad, name, rollout.SETTLING)

        await _all_of([settle(name) for name in wanted])

    async def _provide_users(self, secrets: Secrets) -> None:
        """Have each service let in where users are not the job's own business: NATS reads them as they change."""
        tokens = {name: token_of(password) for name, password in secrets.services.items()}
        await access.provide(self.agents.consul, self.agents.nomad, self.services, tokens)
        ports, login = self.agents.ports, f"{USER}:{secrets.admin}@{HOST}"
        admin = Server.parse(f"postgresql://{login}:{ports.postgresql}/postgres")
        for service in self.services:
            if "sql" in service.needs:
                await provide_database(admin, service.name, secrets.services[service.name])
        users = redis_users(self.services, secrets, ports)
        await provide_users(Server.parse(f"redis://{login}:{ports.redis}"), users)

    async def _begin_services(self, nomad: Nomad, release: Release, told: Told) -> None:
        begun = [await self._begin_service(nomad, service, release) for service in self.services]

        async def settle(service: Service, each: rollout.Rollout) -> None:
            async with _step(told, service.name):
                await rollout.settle(nomad, each, self.folder / ALLOCATIONS)
                if service.public:
                    public.keep(self.folder, self.public)

        await _all_of([settle(service, each) for service, each in zip(self.services, begun, strict=True)])

    async def _begin_service(self, nomad: Nomad, service: Service, release: Release) -> rollout.Rollout:
        """Register the job of a service as it is rendered, with what it must know."""
        proxy = release.told.get("proxy", "")
        secrets = settings_of(service, release.secrets, self.agents.ports, public=self.public, proxy=proxy)
        given = {**release.variables, "settings": rollout.digest_of(release.environment, secrets)}
        text = (programs.ROOT / f"jobs/{service.name}.nomad.hcl").read_text("utf-8")
        return await rollout.begin(nomad, service.name, text, given, secrets)


async def _all_of(steps: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all to their end; what several have to say is said together."""
    failures = [each for each in await asyncio.gather(*steps, return_exceptions=True) if each is not None]
    for failure in failures:
        if len(failures) == 1 or not isinstance(failure, MirageError):
            raise failure
    if failures:
        raise Conflict("; ".join(map(str, failures)))


async def _runs(nomad: Nomad, name: str) -> bool:
    """Whether an instance of a job runs, of whatever version."""
    try:
        return any(each.runs for each in (await nomad.status(job_name(name))).allocations)
    except NotFound:
        return False


async def _answers(url: str) -> None:
    """Wait until the gateway does.

    Raises:
        Unavailable: it does not in time.
    """
    end = monotonic() + ANSWERING
    async with aiohttp.ClientSession(trust_env=False) as session:
        while monotonic() < end:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise Unavailable(f"the gateway does not answer at {url}")


def _hand_over_connections() -> None:
    """Let connections that a gateway has not taken when it ends go to the next one at its port, where we may say so.

    https://docs.kernel.org/networking/ip-sysctl.html, tcp_migrate_req.
    """
    with suppress(OSError):
        MIGRATE.write_text("1")


@asynccontextmanager
async def _step(told: Told, what: str) -> AsyncIterator[None]:
    """Tell that something begins, that it takes longer than usual, and how long it took."""
    told(what, "")
    began = monotonic()
    late = asyncio.get_running_loop().call_later(LONG, told, what, f"not well after {LONG:g} s: see `fleet status`")
    try:
        yield
    finally:
        late.cancel()
    told(what, f"well after {monotonic() - began:.1f} s")
