"""A fleet of plain processes for benchmarks: the real servers and every service, without Nomad around them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from services.catalogue import load_services
from services.cli.credentials import Token
from services.cli.fleet.ports import free_ports
from services.cli.remote import RemoteCalls
from services.contracts.endpoints import CREATE_FIRST_ACCOUNT, CREATE_TOKEN, OFFER_FIRST_ACCOUNT
from services.contracts.resources import FirstAccount, NewToken
from services.kernel.calls import LocalCalls, Nothing, operator
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.http_calls import HttpCalls
from services.kernel.messages import now, workspace_id
from services.kernel.principals import Signer, private_key, write_private_key, write_public_key
from services.kernel.seal import make_key
from services.kernel.server import Server as Address
from services.kernel.sql.postgres_roles import provide_database
from tests.bench.declaration import Unable
from tests.bench.processes import ROOT, proportional
from tests.kernel.keys import seed_of
from tests.servers.running import Server, Stable, missing

STORES = ("postgresql", "nats", "redis", "mongodb", "elasticsearch", "consul")
PASSWORD = "a-password-of-a-benchmark"
PATIENCE = 180.0
OPERATOR = operator(workspace_id("default"))


class Fleet:
    """``counts``: instances by service, one where nothing is said; discovery, which needs Nomad, is left out."""

    def __init__(self, folder: Path, environment: Mapping[str, str], counts: Mapping[str, int]) -> None:
        self._folder = folder
        self._environment = environment
        self._counts = counts
        self._stores: dict[str, Server] = {}
        self._processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.services = [service for service in load_services() if "scheduler" not in service.needs]
        self.token = ""
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"

    def start(self, stable: Stable) -> None:
        self._stores = {name: stable.own(name) for name in STORES}
        master = Address.parse(self._stores["postgresql"].url)
        for service in self.services:
            if "sql" in service.needs:
                asyncio.run(provide_database(master, service.name, PASSWORD))
        for service in self.services:
            for _ in range(self._counts.get(service.name, 1)):
                self.add(service.name)
        for service in self.services:
            self.wait_for(service.name, self._counts.get(service.name, 1))
        self.token = asyncio.run(self._let_in())

    async def _let_in(self) -> str:
        """Make the first account, and a token of it that may all."""
        directory = ConsulDirectory(Address.parse(f"{self._stores['consul'].url}/mirage"))
        inside = HttpCalls(LocalCalls(), directory, Signer({"operator": private_key(seed_of("operator"))}))
        offered = await inside.ask(OFFER_FIRST_ACCOUNT, Nothing(), OPERATOR)
        account = FirstAccount(code=offered.code or "", email="jo@example.org", name="Jo", password=PASSWORD)
        outside = RemoteCalls(self.url, Token(""))
        session = await outside.ask(CREATE_FIRST_ACCOUNT, account, OPERATOR)
        await outside.close()
        outside = RemoteCalls(self.url, Token(session.access))
        new = NewToken(name="benchmark", permissions=("all",), expires=now() + 86_400_000_000)
        made = await outside.ask(CREATE_TOKEN, new, OPERATOR)
        for each in (outside, inside, directory):
            await each.close()
        return made.token

    def add(self, name: str) -> subprocess.Popen[bytes]:
        """Begin one more instance of a service."""
        begun = self._processes.setdefault(name, [])
        log = (self._folder / f"{name}-{len(begun)}.log").open("wb")
        command = [sys.executable, "-P", "-m", "services", "serve", name]
        begun.append(subprocess.Popen(command, cwd=ROOT, env=self._settings(name), stdout=log, stderr=log))
        log.close()
        return begun[-1]

    def wait_for(self, name: str, count: int) -> None:
        """Wait until so many instances of a service are well."""
        end = time.monotonic() + PATIENCE
        while self.well(name) < count:
            if time.monotonic() > end or any(process.poll() is not None for process in self._processes[name]):
                tail = (self._folder / f"{name}-0.log").read_text("utf-8", "replace")[-500:]
                raise Unable(f"{name} does not get well: {tail}")
            time.sleep(0.05)

    def well(self, name: str) -> int:
        """How many instances of a service Consul has as well."""
        url = f"http://127.0.0.1:{self._stores['consul'].port}/v1/health/service/mirage-{name}?passing=1"
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return len(json.load(answer))
        return 0

    def memory(self, name: str) -> float:
        """MB of the first instance of a service, of shared pages its part."""
        return proportional(self._processes[name][0].pid) / 1024

    def stop(self) -> None:
        processes = [process for each in self._processes.values() for process in each]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _settings(self, name: str) -> dict[str, str]:
        stores = self._stores
        consul = f"{stores['consul'].url}/mirage"
        return {
            **os.environ,
            **self._environment,
            "PYTHONPATH": str(ROOT),
            "MIRAGE_SQL": f"postgresql://{name}:{PASSWORD}@127.0.0.1:{stores['postgresql'].port}/{name}",
            "MIRAGE_BUS": stores["nats"].url,
            "MIRAGE_DOCUMENTS": f"{stores['mongodb'].url}/{name}",
            "MIRAGE_BLOBS": f"{stores['mongodb'].url}/{name}",
            "MIRAGE_SEARCH": stores["elasticsearch"].url,
            "MIRAGE_CACHE": f"{stores['redis'].url}/mirage",
            **{f"MIRAGE_{port}": consul for port in ("DIRECTORY", "VALUES", "LOCKS")},
            "MIRAGE_MASTER_KEY": self._key,
            "MIRAGE_SIGNING_KEYS": write_private_key(name, seed_of(name)),
            "MIRAGE_PEERS": " ".join(write_public_key(each.name, seed_of(each.name)) for each in self.services)
            + f" {write_public_key('operator', seed_of('operator'))}",
            "MIRAGE_PUBLIC": self.url.removeprefix("http://"),
            "MIRAGE_LISTEN": "127.0.0.1:0",
            "MIRAGE_LOG": self._environment.get("MIRAGE_LOG", "warning"),
        }

    _key = make_key()


@contextmanager
def fleet(environment: Mapping[str, str], **counts: int) -> Iterator[Fleet]:
    """A fleet that runs until the block ends.

    Raises:
        Unable: a server is not on this machine, or a service does not get well.
    """
    if absent := [name for name in STORES if name in missing()]:
        raise Unable(f"{', '.join(absent)} not installed (tests/servers/README.md)")
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user
        os.mkfifo(folder / "fifo")
        leash = os.open(folder / "fifo", os.O_RDWR | os.O_CLOEXEC)
        stable = Stable(folder)
        begun = Fleet(folder, environment, counts)
        try:
            begun.start(stable)
            yield begun
        finally:
            begun.stop()
            stable.end()
            os.close(leash)


def ask(begun: Fleet, arguments: Sequence[str]) -> list[str]:
    """A command line that asks the fleet."""
    return [*arguments, "--server", begun.url]
