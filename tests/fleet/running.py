"""A whole fleet on this machine, in a lab: brought up, asked and looked into by its users' own command line."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from services.catalogue import load_instances
from services.cli.fleet import leftovers
from services.cli.fleet.deployment import Deployment
from services.cli.fleet.ports import HOST, free_ports
from services.cli.fleet.users import settings_of
from services.cli.rendering.jobs import job_name
from services.contracts.endpoints import SCALE_SERVICE
from services.contracts.resources import Scaling
from services.kernel.calls import operator
from services.kernel.messages import workspace_id
from services.kernel.scheduler import Allocation
from services.kernel.scheduler.nomad import Nomad
from tests.proof.processes import ROOT, Lab, environment

T = TypeVar("T")

#: Of the first account.
PASSWORD = "correct horse battery"
#: Seconds for `fleet up`, for what is to come to be on a busy machine, and for a scan.
RISING = 300
PATIENCE = 120.0
SCANNING = 600


class Fleet:
    """The fleet in ``folder``; its services reach the lab and nothing else."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder = folder
        self.lab = lab
        #: What is its user's and not its own.
        self.users = folder / "of-its-user"
        self.listen = f"{HOST}:{free_ports(1)[0]}"
        self._environment = environment(
            **lab.environment,
            MIRAGE_RESOLVERS=lab.resolver,
            XDG_CONFIG_HOME=str(self.users),
        )

    @property
    def server(self) -> str:
        return f"http://localhost:{self.listen.rpartition(':')[2]}"

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.folder)

    def nomad(self) -> Nomad:
        return Nomad(self.deployment.agents.nomad)

    def up(self, *more: str, code: Path = ROOT, status: int = 0) -> str:
        """Bring it up from ``code``, or what of it is missing; return what was said of it.

        Where nobody has an account yet, make the first one, and keep a token of its user's that may all.
        """
        how = ("--free-ports", "--listen", self.listen, "--set", f"venv={sys.prefix}")
        said = self._run("fleet", "up", *how, *more, *self._data, seconds=RISING, status=status, code=code).stderr
        if first := re.search(r"Its code: (\S+)", said):
            self.log_in("--first", f"{first[1]}\njo@example.org\nJo Doe\n{PASSWORD}\n")
            token = self.ask("tokens", "make", "tests", "--may", "all")
            self.log_in("--token", token)
        return said

    def log_in(self, how: str, answers: str) -> None:
        """Be let in from now on, by what is answered."""
        arguments = ("login", how, "--server", self.server)
        self._run(*arguments, seconds=PATIENCE, status=0, answers=answers)

    def fleet(self, *arguments: str, seconds: float = PATIENCE, status: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command on the fleet; it must end with ``status``."""
        return self._run("fleet", *arguments, *self._data, seconds=seconds, status=status)

    @property
    def _data(self) -> tuple[str, str]:
        return "--data", str(self.folder)

    def ask(self, *arguments: str, seconds: float = PATIENCE) -> str:
        """Run a command through the gateway; return what it prints."""
        return self._run(*arguments, "--server", self.server, seconds=seconds, status=0).stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command through the gateway."""
        command = [sys.executable, "-m", "services", *arguments, "--server", self.server]
        self.users.mkdir(exist_ok=True)
        with self.said(arguments[0]).open("w") as said:
            return subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True
            )

    def said(self, verb: str) -> Path:
        """What the last command that was started so has said."""
        return self.users / f"{verb}.said"

    def standing(self) -> dict[str, Any]:
        """What `fleet status` shows, well or not."""
        command = [sys.executable, "-m", "services", "fleet", "status", "--format", "json", "--data", str(self.folder)]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode in {0, 1}, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return {**shown, "well": done.returncode == 0}

    async def well(self) -> bool:
        """Whether `fleet status` says so."""
        return bool((await asyncio.to_thread(self.standing))["well"])

    def settings(self, service: str) -> dict[str, str]:
        """What Nomad gives a service, its passwords in it."""
        deployment = self.deployment
        (declared,) = (each for each in deployment.services if each.name == service)
        return settings_of(declared, deployment.secrets, deployment.agents.ports, public=deployment.public)

    def setting(self, service: str, name: str) -> str:
        return self.settings(service)[name]

    def canonical(self) -> list[str]:
        """The claim keys of the last scan."""
        return self.ask("export", "last", "--canonical", "--all", "--format", "jsonl").splitlines()

    def last(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.ask("scans", "show", "last", "--format", "json"))
        return shown

    @asynccontextmanager
    async def unscaled(self) -> AsyncIterator[None]:
        """One instance of every service meanwhile, however much each has to do."""
        await self._scale(1)
        try:
            await eventually(self._is_of_one_each)
            yield
        finally:
            await self._scale(None)

    async def _is_of_one_each(self) -> bool:
        standing = await asyncio.to_thread(self.standing)
        return standing["well"] and all(len(service["instances"]) == 1 for service in standing["fleet"]["services"])

    async def _scale(self, count: int | None) -> None:
        async with self.deployment.calls() as calls:
            for name in load_instances():
                await calls.ask(SCALE_SERVICE, Scaling(service=name, count=count), operator(workspace_id("default")))

    def process_of(self, allocation: str) -> int:
        return process_of(self.folder, allocation)

    def logs(self) -> str:
        """The ends of what all services and agents said, for when a test fails."""
        files = [*self.folder.glob("agents/nomad-client/alloc/*/alloc/logs/*.stderr.*"), *self.folder.glob("logs/*")]
        return "\n".join(f"== {file}\n{file.read_text('utf-8', 'replace')[-3000:]}" for file in files)

    def _run(
        self, *arguments: str, seconds: float, status: int, code: Path = ROOT, answers: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-P", "-m", "services", *arguments],
            env={**self._environment, "PYTHONPATH": str(code)},
            input=answers,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done


async def instances(nomad: Nomad, service: str) -> dict[str, Allocation]:
    """The allocations of a service that run, by id."""
    return {each.id: each for each in (await nomad.status(job_name(service))).allocations if each.runs}


async def eventually(attempt: Callable[[], Awaitable[T]], *, seconds: float = PATIENCE) -> T:
    """Try again until it fails no more and gives something true; return that."""
    failed: Exception | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    if found := await attempt():
                        return found
                except Exception as error:  # noqa: BLE001  whatever is said of what is not there yet
                    failed = error
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"it does not come to that: {failed}") from failed


def process_of(folder: Path, allocation: str) -> int:
    """The main process of an allocation: the child of the executor that Nomad began for it."""
    (executor,) = (
        pid
        for pid, line in command_lines(folder).items()
        if b"\0executor\0" in line and allocation.encode() in line and not _is_prestart(line)
    )
    (child,) = Path(f"/proc/{executor}/task/{executor}/children").read_text().split() or children_of(executor)
    return int(child)


def command_lines(folder: Path) -> Mapping[int, bytes]:
    """What each process of the fleet in ``folder`` was started as."""
    found = {}
    for pid in leftovers.processes(folder):
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
    return found


def children_of(parent: int) -> list[str]:
    stats = (path.read_text().rpartition(")") for path in Path("/proc").glob("[0-9]*/stat"))
    return [before.partition(" ")[0] for before, _, after in stats if after.split()[1] == str(parent)]


def sizes(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Of each process: what it is, what it has in memory, and its own share of that, in MB."""
    for pid, line in command_lines(folder).items():
        rows = dict(row.split(":") for row in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        resident, share = (int(rows[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
        yield _named(line.split(b"\0")), resident, share


def _named(line: list[bytes]) -> str:
    if b"executor" in line:
        return "executor"
    if b"serve" in line:
        return os.fsdecode(line[line.index(b"serve") + 1])
    return Path(os.fsdecode(line[0]).split()[0]).name


def _is_prestart(line: bytes) -> bool:
    return any(f"/{task}/".encode() in line for task in ("initdb", "migrate"))
