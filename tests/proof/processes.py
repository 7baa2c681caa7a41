"""The lab and Mirage as processes of their own, on folders of their own, told apart by nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from tests.bytecode import keep_bytecode

ROOT = Path(__file__).parents[2]
WAIT = 90.0
#: It takes twenty questions at once and then one a minute; there are as many e-mail addresses, or more.
SLOW = ("openpgp",)
DEEP = ("--profile", "deep", "--authorised", "the lab, for a proof")

_open = build_opener(ProxyHandler({})).open


class Lab:
    """A lab in a process of its own."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]") -> None:
        self.folder = folder
        if not folder.exists():
            folder.mkdir(parents=True)
        self.process = process
        described = json.loads((folder / "lab.json").read_bytes())
        self.target: str = described["target"]
        self.resolver: str = described["resolver"]
        self.environment: dict[str, str] = described["environment"]
        self._control: str = described["control"]

    def counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = self._ask("GET", "/counts")
        return counts

    def touched(self) -> int:
        """How often the target's hosts or name servers were met."""
        touched: int = self.counts()["touched"]
        return touched

    def requests(self) -> Counter[tuple[str, str, str]]:
        """HTTP and WHOIS requests by (host, method, target)."""
        return Counter({(host, method, target): n for host, method, target, n in self._ask("GET", "/requests")})

    def questions(self, server: str = "resolver") -> Counter[tuple[str, str]]:
        """DNS questions by (name, type)."""
        return Counter({(name, kind): n for name, kind, n in self._ask("GET", f"/names?server={server}")})

    def quiet(self) -> None:
        """Return when nothing arrives any more."""
        until(lambda: self._sum() == (time.sleep(0.02), self._sum())[1])

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def fault(self, key: str, kind: str, **options: Any) -> None:
        self._ask("PUT", f"/faults/{quote(key, safe=':')}", json.dumps({"kind": kind, **options}).encode())

    def heal(self) -> None:
        self._ask("DELETE", "/faults")

    def truth(self) -> dict[str, Any]:
        truth: dict[str, Any] = json.loads((self.folder / "truth.json").read_bytes())
        return truth

    def _sum(self) -> tuple[int, int]:
        counts = self.counts()
        return sum(counts["addresses"].values()), sum(counts["servers"].values())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        with _open(Request(self._control + path, body, method=method), timeout=WAIT) as answer:
            return json.loads(answer.read())


@contextmanager
def started_lab(folder: Path, *arguments: str, hosts: int = 60, seed: int = 1) -> Iterator[Lab]:
    """Start a lab in ``folder`` and stop it at the end."""
    command = [sys.executable, "-m", "lab", "--dir", str(folder), "--hosts", str(hosts), "--seed", str(seed)]
    with ended(subprocess.Popen([*command, *arguments], env=environment(), stdout=subprocess.PIPE, text=True)) as lab:
        assert lab.stdout is not None
        assert lab.stdout.readline().startswith("lab ready")
        yield Lab(folder, lab)


class Mirage:
    """The command line on one data folder: in a lab or, without one, where nothing can be dialled."""

    def __init__(self, folder: Path, lab: Lab | None = None, **variables: str) -> None:
        self.folder = folder
        if not folder.exists():
            folder.mkdir(parents=True)
        self.lab = lab
        if lab is None:
            nowhere = folder.parent / "nowhere.json"
            nowhere.write_text('{"version": 1, "entries": []}')
            variables = {"MIRAGE_DIAL_TABLE": str(nowhere), **variables}
        self._environment = environment(**(lab.environment if lab else {}), **variables)

    def command(self, *arguments: str, before: tuple[str, ...] = ()) -> list[str]:
        return [*before, sys.executable, "-m", "services", *arguments, "--data", str(self.folder)]

    def run(self, *arguments: str, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, whatever that is."""
        return subprocess.run(
            self.command(*arguments, before=before),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def output(self, *arguments: str) -> str:
        """What a command prints; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command; its output is kept in files of the data folder's parent, so that no pipe fills up."""
        place = self.folder.parent / f"{self.folder.name}-{time.monotonic_ns()}"
        with place.with_suffix(".out").open("w") as out, place.with_suffix(".err").open("w") as errors:
            process = subprocess.Popen(
                self.command(*arguments), env=self._environment, stdout=out, stderr=errors, text=True
            )
        process.out, process.err = place.with_suffix(".out"), place.with_suffix(".err")  # type: ignore[attr-defined]
        return process

    def scan_arguments(self, *more: str) -> tuple[str, ...]:
        assert self.lab is not None
        return ("scan", self.lab.target, "--resolver", self.lab.resolver, "--quiet", *more)

    def scan(self, *more: str) -> str:
        """Scan the lab's target and return the scan's id; it must finish."""
        self.output(*self.scan_arguments(*more))
        return self.last()["id"]  # type: ignore[no-any-return]

    def last(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.output("scans", "show", "last", "--format", "json"))
        return shown

    def canonical(self) -> list[str]:
        return self.output("export", "last", "--canonical", "--all", "--format", "jsonl").splitlines()


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process under proof: nothing of the user's set-up gets in."""
    foreign = ("MIRAGE_", "SSL_CERT", "HTTP_", "HTTPS_", "ALL_PROXY", "NO_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    keep_bytecode(kept)
    return {**kept, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/nonexistent", **variables}


def copied_code(folder: Path) -> dict[str, str]:
    """Copy Mirage's code into ``folder``, to be changed there; return the variables by which a process runs that."""
    shutil.copytree(ROOT / "services", folder / "services")
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


def excluding(*modules: str) -> tuple[str, ...]:
    return tuple(argument for module in modules for argument in ("--exclude", module))


def steady(lab: Lab) -> tuple[str, ...]:
    """Arguments that leave out the wildcards whose answers rotate: there no two scans see the same world."""
    owners = [wildcard["owner"] for wildcard in lab.truth()["wildcards"] if wildcard["rotates"]]
    return tuple(argument for owner in owners for argument in ("--exclude-scope", owner))


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """See to it that a process is gone at the end of the block."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(condition: Callable[[], Any], *, seconds: float = WAIT, every: float = 0.01) -> Any:
    """Wait until ``condition`` gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(every)
    return found


def stop_signal(process: "subprocess.Popen[str]") -> bool:
    """Stop a process in its tracks; False when it ended instead."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return True
    process.returncode = os.waitstatus_to_exitcode(status)
    return False
