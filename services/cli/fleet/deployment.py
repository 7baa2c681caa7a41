"""A whole fleet on one machine, from nothing to the gateway's answer; doing it again repairs what is missing."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp

from services.catalogue import load_services
from services.cli.fleet import infra, programs
from services.cli.fleet.agents import Agents
from services.cli.fleet.infra import USER, job_of, secrets_path
from services.cli.fleet.ports import HOST, Ports
from services.cli.fleet.secrets import Secrets, keep_secrets
from services.cli.fleet.users import secrets_of_infra, settings_of
from services.cli.remote import RemoteCalls
from services.cli.rendering.jobs import job_name
from services.kernel.errors import Unavailable
from services.kernel.folder import write_private
from services.kernel.scheduler.nomad import Nomad, Value
from services.kernel.server import Server
from services.kernel.service import Service
from services.kernel.sql.postgres_roles import provide_database

#: What a fleet has without being asked; the graph's server is there when something feeds it, or somebody asks for it.
STANDING_ON: Final = ("nats", "postgresql", "mongodb", "elasticsearch", "redis")
#: The file of a fleet's folder that says where its gateway listens.
PUBLIC: Final = "public"
#: Seconds for one job to run as it is to be.
SETTLING: Final = 180.0
#: Where services are told in the environment of ``fleet up`` how they reach the outside.
PASSED: Final = (
    "MIRAGE_DIAL_TABLE", "MIRAGE_RESOLVERS", "MIRAGE_NO_PROXY", "MIRAGE_CA_FILE", "SSL_CERT_FILE",
    "MIRAGE_USER_AGENT", "MIRAGE_LOG", "MIRAGE_VENV",
)  # fmt: skip

MIGRATE: Final = Path("/proc/sys/net/ipv4/tcp_migrate_req")

#: Told of every step: what it is about, and how it went; empty while it is under way.
Told = Callable[[str, str], None]


class Deployment:
    """The fleet in ``folder``; ``extra`` names infrastructure beyond what it needs."""

    def __init__(
        self, folder: Path, *, ports: Ports | None = None, extra: Sequence[str] = (), public: str = ""
    ) -> None:
        self.agents = Agents(folder, ports)
        self.folder = self.agents.folder
        self.services = load_services()
        self._public = public
        self._extra = tuple(extra)

    @property
    def public(self) -> str:
        """Where the gateway listens: as is said now, or was when the fleet was brought up."""
        kept = self.folder / PUBLIC
        if self._public or not kept.exists():
            return self._public or "127.0.0.1:8080"
        return kept.read_text("ascii").strip()

    @property
    def secrets(self) -> Secrets:
        return keep_secrets(self.folder, (service.name for service in self.services))

    @cached_property
    def revision(self) -> str:
        """A digest of the code that is brought out."""
        digest = hashlib.sha256()
        for file in sorted((programs.ROOT / "services").rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.name.encode() + file.read_bytes())
        return digest.hexdigest()[:12]

    async def up(self, told: Told) -> None:
        """Bring everything up, each thing when what it stands on is well.

        Raises:
            Unavailable: a program is missing, or something does not get well; the text says what and why.
            Conflict: a port is taken.
        """
        wanted = [*STANDING_ON, *self._extra]
        if missing := infra.missing(tuple(wanted)):
            raise Unavailable(f"not installed: {', '.join(missing)}; run tests/servers/build --apt")
        async with _step(told, "agents"):
            await self.agents.up(lambda what: told("agents", what))
        write_private(self.folder / PUBLIC, self.public)
        _hand_over_connections()
        nomad = Nomad(self.agents.nomad)
        try:
            await self._begin_infra(nomad, wanted, told)
            async with _step(told, "databases"):
                await self._provide_databases()
            await self._begin_services(nomad, told)
            async with _step(told, "gateway"):
                await self._answers()
        finally:
            await nomad.close()

    @asynccontextmanager
    async def calls(self) -> AsyncIterator[RemoteCalls]:
        """Ask the services, through the gateway."""
        host, _, port = self.public.rpartition(":")
        calls = RemoteCalls(f"http://{host if host != '0.0.0.0' else HOST}:{port}", self.secrets.token)  # noqa: S104
        try:
            yield calls
        finally:
            await calls.close()

    async def _begin_infra(self, nomad: Nomad, wanted: Sequence[str], told: Told) -> None:
        ports, secrets = self.agents.ports, self.secrets
        for name, items in secrets_of_infra(self.services, secrets, ports).items():
            await nomad.put_variable(secrets_path(name), items)
        for name in wanted:
            await infra.begin(nomad, name, self.folder / "data", ports)
        await asyncio.gather(*(self._settle(nomad, name, job_of(name), told) for name in wanted))

    async def _provide_databases(self) -> None:
        secrets, ports = self.secrets, self.agents.ports
        admin = Server.parse(f"postgresql://{USER}:{secrets.admin}@{HOST}:{ports.postgresql}/postgres")
        for service in self.services:
            if "sql" in service.needs:
                await provide_database(admin, service.name, secrets.services[service.name])

    async def _begin_services(self, nomad: Nomad, told: Told) -> None:
        for service in self.services:
            await self.begin_service(nomad, service)
        await asyncio.gather(
            *(self._settle(nomad, service.name, job_name(service.name), told) for service in self.services)
        )

    async def begin_service(self, nomad: Nomad, service: Service, **variables: Value) -> None:
        """Register the job of a service as it is rendered, with what it must know; its count stays what it is."""
        job = job_name(service.name)
        await nomad.put_variable(f"nomad/jobs/{job}", settings_of(service, self.secrets, self.agents.ports))
        text = (programs.ROOT / f"jobs/{service.name}.nomad.hcl").read_text("utf-8")
        given: Mapping[str, Value] = {
            "command": str(programs.ROOT / "mirage"),
            "environment": self._environment(service),
            "revision": self.revision,
            **variables,
        }
        await nomad.register(await nomad.parse(text, given), keep_counts=True)

    def _environment(self, service: Service) -> dict[str, str]:
        """What of our own environment is for the services, and is no secret; and where the gateway listens."""
        passed = {name: value for name in PASSED if (value := os.environ.get(name))}
        return {**passed, **({"MIRAGE_PUBLIC": self.public} if service.public else {})}

    async def _settle(self, nomad: Nomad, name: str, job: str, told: Told) -> None:
        async with _step(told, name):
            try:
                async with asyncio.timeout(SETTLING):
                    await nomad.settle(job)
            except TimeoutError:
                status = await nomad.status(job)
                said = "; ".join(filter(None, (*status.waiting, *(each.reason for each in status.allocations))))
                raise Unavailable(f"{name} is not well after {SETTLING:g} s: {said or 'see its logs'}") from None

    async def _answers(self) -> None:
        """Wait until the gateway does."""
        host, _, port = self.public.rpartition(":")
        url = f"http://{host if host != '0.0.0.0' else HOST}:{port}/health/live"  # noqa: S104
        async with aiohttp.ClientSession(trust_env=False) as session, asyncio.timeout(SETTLING):
            while True:
                try:
                    async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, OSError, TimeoutError):
                    pass
                await asyncio.sleep(0.1)


def _hand_over_connections() -> None:
    """Let connections that a gateway has not taken when it ends go to the next one at its port, where we may say so.

    https://docs.kernel.org/networking/ip-sysctl.html, tcp_migrate_req.
    """
    with suppress(OSError):
        MIGRATE.write_text("1")


@asynccontextmanager
async def _step(told: Told, what: str) -> AsyncIterator[None]:
    """Tell that something begins, and how long it took."""
    told(what, "")
    began = monotonic()
    yield
    told(what, f"well after {monotonic() - began:.1f} s")
