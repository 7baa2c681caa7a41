"""Real servers on loopback for the tests: each in a folder of its own, ended with the test run.

Which there are, where they come from and what they cost: README.md.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec import json as codec

from services.cli.fleet.ports import free_ports

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
CACHE: Final = Path(os.environ.get("MIRAGE_SERVERS_CACHE") or Path.home() / ".cache/mirage-servers")
BIN: Final = CACHE / "bin"
#: Seconds that a server may take until it answers.
PATIENCE: Final = 90.0
#: Names in the environment: what must be there, and the folder that a test run shares among its workers.
REQUIRED: Final = "MIRAGE_REQUIRE_SERVERS"
SHARED: Final = "MIRAGE_TEST_SERVERS"


class Kind(Struct, frozen=True):
    """How a kind of server is found, started and known to be ready."""

    name: str
    find: Callable[[], str | None]
    command: Callable[["Server"], list[str]]
    ready: Callable[["Server"], bool]
    url: str
    user: str | None = None
    prepare: Callable[["Server"], None] | None = None
    environ: Mapping[str, str] = {}
    ends_at: signal.Signals = signal.SIGTERM
    #: Which class runs it, ``module:class``: what is more than one process.
    runs: str = "tests.servers.running:Server"


class Server:
    """A server that runs, or will: it keeps its folder and its ports over restarts."""

    #: How many ports it has.
    PORTS: ClassVar[int] = 4

    def __init__(
        self,
        kind: Kind,
        folder: Path,
        fifo: Path,
        ports: tuple[int, ...] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.folder = folder
        self.ports = ports or free_ports(self.PORTS)
        self._fifo = fifo
        self._environ = {**os.environ, **kind.environ} if environ is None else dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def url(self) -> str:
        """As a setting of Mirage says it."""
        return self.kind.url.format(port=self.port)

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def start(self, *, wait: bool = True) -> None:
        """Start it on what its folder holds."""
        assert self._process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        if user := self.user:
            shutil.chown(self.folder, user)
        if self.kind.prepare is not None:
            self.kind.prepare(self)
        self._run()
        if wait:
            self.wait()

    @property
    def user(self) -> str | None:
        """As whom it runs, if not as we do."""
        return self.kind.user if os.geteuid() == 0 else None

    def _run(self) -> None:
        as_user = ["--user", self.user] if self.user else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "leash.py"), str(self._fifo), *as_user, *self.kind.command(self)],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it answers; one that ends is begun again: PostgreSQL does, beside what is left of a killed one."""
        end = time.monotonic() + PATIENCE
        while not self.kind.ready(self):
            if time.monotonic() > end:
                tail = self.log.read_text("utf-8", "replace")[-3000:]
                raise RuntimeError(f"the server {self.kind.name} does not answer on port {self.port}:\n{tail}")
            time.sleep(0.02)
            assert self._process is not None
            if self._process.poll() is not None:
                time.sleep(0.2)
                self._run()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to it and to its children."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it at once (-9)."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def leave(self) -> None:
        """Let it run on without us."""
        if self._process is not None:
            self._process.returncode = 0
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.send_signal(self.kind.ends_at)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self.kill()

    @contextmanager
    def held(self) -> Iterator[None]:
        """It is there and does not answer."""
        self.signal(signal.SIGSTOP)
        try:
            while not all(state in {"T", "Z"} for state in self._states()):
                time.sleep(0.005)  # on a busy machine it answers for some time yet
            yield
        finally:
            self.signal(signal.SIGCONT)

    def _states(self) -> Iterator[str]:
        """Of each thread of its processes: R, S, T when it is held …"""
        for stat in Path("/proc").glob("[0-9]*/task/*/stat"):
            with suppress(OSError):
                state, _, group = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
                if group == str(self.pid):
                    yield state

    def restart(self) -> None:
        self.stop()
        self.start()


def listens(server: Server) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
        return True
    return False


def answers(path: str) -> Callable[[Server], bool]:
    """Ready when a GET of ``path`` is answered with 200 and, for lists and texts, with something."""

    def ready(server: Server) -> bool:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=2)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read() not in {b'""', b"[]"} and answer.status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ready


def said(line: str) -> Callable[[Server], bool]:
    """Ready when it has printed ``line`` since its last start."""

    def ready(server: Server) -> bool:
        return listens(server) and line in server.log.read_text("utf-8", "replace").rpartition("building")[2]

    return ready


def _built(name: str) -> Callable[[], str | None]:
    return lambda: str(BIN / name) if (BIN / name).is_file() else None


def _java(name: str) -> Callable[[], str | None]:
    def find() -> str | None:
        built = any(CACHE.glob(f"{name}-*-java*")) and shutil.which("java")
        return str(HERE / "java" / name / "start") if built else None

    return find


def _postgres() -> str | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which("postgres")
    return found and str(Path(found).resolve())


def _initdb(server: Server) -> None:
    """Make the cluster: locale C, and for the tests alone nothing waits for the disk."""
    if (server.folder / "PG_VERSION").exists():
        return
    initdb = Path(server.kind.find() or "").with_name("initdb")
    user = server.user
    subprocess.run(
        [initdb, "-D", server.folder, "-U", "mirage", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync"],
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd=server.folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _postgres_command(server: Server) -> list[str]:
    options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200")
    named = [part for option in options for part in ("-c", option)]
    return [server.kind.find() or "", "-D", str(server.folder), "-p", str(server.port), *named]


def _postgres_ready(server: Server) -> bool:
    isready = Path(server.kind.find() or "").with_name("pg_isready")
    asked = [isready, "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "mirage", "-d", "postgres"]
    return subprocess.run(asked, check=False).returncode == 0


def _consul_command(server: Server) -> list[str]:
    config = server.folder / "agent.json"
    http, serf, rpc, wan = server.ports
    ports = {"http": http, "serf_lan": serf, "server": rpc, "serf_wan": wan, "dns": -1, "grpc": -1, "grpc_tls": -1}
    config.write_text(json.dumps({"ports": ports, "performance": {"raft_multiplier": 1}}))
    return [
        server.kind.find() or "", "agent", "-server", "-bootstrap-expect=1", f"-data-dir={server.folder / 'data'}",
        "-bind=127.0.0.1", "-client=127.0.0.1", "-node=test", f"-config-file={config}",
    ]  # fmt: skip


def _is_built(path: str) -> Callable[[Server], list[str]]:
    return lambda server: [
        part.format(bin=server.kind.find(), folder=server.folder, port=server.port) for part in path.split()
    ]


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("nats", _built("nats"), _is_built("{bin} -js -sd {folder} -a 127.0.0.1 -p {port}"), listens,
             "nats://127.0.0.1:{port}"),
        Kind("postgresql", _postgres, _postgres_command, _postgres_ready,
             "postgresql://mirage@127.0.0.1:{port}/postgres", user="postgres", prepare=_initdb,
             ends_at=signal.SIGINT),  # at SIGTERM it waits until the last client leaves
        Kind("redis", lambda: shutil.which("redis-server"),
             _is_built("{bin} --port {port} --bind 127.0.0.1 --dir {folder} --appendonly yes"), listens,
             "redis://127.0.0.1:{port}"),
        Kind("mongodb", _built("mongo"), _is_built("{bin} {folder} 127.0.0.1:{port}"), listens,
             "mongodb://127.0.0.1:{port}"),
        Kind("elasticsearch", _java("elasticsearch"), _is_built("{bin} {folder} {port}"), said(" ready on "),
             "elasticsearch://127.0.0.1:{port}"),
        Kind("neo4j", _java("neo4j"), _is_built("{bin} {folder} {port}"), said(" ready on "),
             "neo4j://127.0.0.1:{port}"),
        Kind("consul", _built("consul"), _consul_command, answers("/v1/status/leader"),
             "consul://127.0.0.1:{port}"),
        Kind("nomad", lambda: _built("consul")() and _built("nomad")(), lambda _: [], lambda _: False,
             "nomad://127.0.0.1:{port}", runs="tests.servers.cluster:Cluster"),
        Kind("prometheus", lambda: shutil.which("prometheus"), lambda _: [], lambda _: False, ""),
    )
}  # fmt: skip


def make(kind: Kind, folder: Path, fifo: Path, ports: tuple[int, ...] = ()) -> Server:
    """A server of a kind, not started yet."""
    module, _, name = kind.runs.partition(":")
    made: Any = getattr(import_module(module), name)
    server: Server = made(kind, folder, fifo, ports)
    return server


def missing() -> list[str]:
    """The kinds of servers that are not on this machine."""
    return [name for name, kind in KINDS.items() if kind.find() is None]


def required() -> set[str]:
    """The kinds without which a test run fails: ``all``, or their names separated by commas."""
    asked = os.environ.get(REQUIRED, "")
    return set(KINDS) if asked == "all" else set(filter(None, asked.split(",")))


class Stable:
    """The servers of one test run: those that its workers share, and those that one test has for itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own: list[Server] = []
        self._begun: list[Server] = []

    @property
    def _fifo(self) -> Path:
        return self.folder / "fifo"

    def shared(self, name: str) -> Server:
        """The one that the whole run shares, started by whoever needs it first."""
        kind = KINDS[name]
        note = self.folder / f"{name}.json"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if note.exists():
                ports = codec.decode(note.read_bytes(), type=tuple[int, ...])
                return make(kind, self.folder / name, self._fifo, ports)
            server = make(kind, self.folder / name, self._fifo)
            server.start()
            self._begun.append(server)
            note.write_bytes(codec.encode(server.ports))
            return server

    def own(self, kind: str | Kind) -> Server:
        """One that nobody else uses: it may be killed and stopped."""
        kind = KINDS[kind] if isinstance(kind, str) else kind
        folder = self.folder / f"{kind.name}-{os.getpid()}-{len(self._own)}"
        server = make(kind, folder, self._fifo)
        self._own.append(server)
        server.start()
        return server

    def close(self) -> None:
        """Let go of what was begun for all; it ends with the test run."""
        for server in self._begun:
            server.leave()

    def end(self) -> None:
        """End all that belong to one test."""
        for server in [*self._own]:
            self.give_back(server)

    def give_back(self, server: Server) -> None:
        server.kill()
        self._own.remove(server)
        shutil.rmtree(server.folder, ignore_errors=True)
