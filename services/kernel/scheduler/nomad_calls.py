"""Calls to Nomad through python-nomad, in threads of their own, and what its answers mean.

python-nomad is synchronous and has faults that are mended here: it verifies no certificate, it takes addresses, tokens
and proxies from the environment, and it leaves the namespace out where it does not know that one belongs there.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import nomad.api  # type: ignore[import-untyped]
import requests
from msgspec import Struct
from urllib3.exceptions import NewConnectionError

from services.kernel.errors import Conflict, Denied, Invalid, MirageError, NotFound, Unavailable
from services.kernel.server import Host, Server

#: Seconds until a connection stands, and until the answer begins.
TIMEOUT: Final = (3.0, 6.0)
THREADS: Final = 4
#: In a 500: what is not there, what passes by itself, what the caller did, what somebody else was quicker at.
ABSENT: Final = ("not found", "unknown node", "unknown allocation")
AWAY: Final = ("no cluster leader", "rpc error", "connection re", "no path to", " eof", "leadership", "timeout",
               "timed out", "no servers", "not ready", "session shutdown", "already shutdown")  # fmt: skip
WRONG: Final = ("error occurred", "errors occurred", "validation", "invalid", "missing", "must be", "can't be")
#: In a 400: what may be asked again when something else is done.
BUSY: Final = ("active deployment",)
OVERTAKEN: Final = ("enforcing job modify index", "job modify index", "cas error")


class Endpoints(Struct, frozen=True):
    """One of python-nomad's objects for each part of the API; they share a connection, and one thread uses them."""

    job: Any
    jobs: Any
    validate: Any
    allocations: Any
    nodes: Any
    node: Any
    variable: Any
    variables: Any
    session: requests.Session


Call = Callable[[Endpoints], Any]


class Calls:
    """Runs calls in threads; a host that cannot be reached makes way for the next."""

    def __init__(self, server: Server, namespace: str, token: str) -> None:
        self.server = server
        self.namespace = namespace
        self.token = token
        self.made = 0
        self.failed = 0
        self._at = 0
        self.closed = False
        self._leaving = threading.Lock()
        self._mine = threading.local()
        self._sessions: list[requests.Session] = []
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nomad")

    @property
    def host(self) -> Host:
        """The host that answered last."""
        return self.server.hosts[self._at % len(self.server.hosts)]

    async def __call__(self, call: Call) -> Any:
        """Return what ``call`` returns.

        Raises:
            MirageError: one of its leaves, as Nomad's answer means it.
        """
        if self.closed:
            raise Unavailable(f"{self.server} was closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, call)

    async def close(self) -> None:
        """Wait for what was begun."""
        self.closed = True
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    def leave(self, host: Host) -> None:
        """Ask the next host from now on, if there is another, unless another call has left this one already."""
        with self._leaving:
            if self.host == host:
                self._at += 1

    def _run(self, call: Call) -> Any:
        self.made += 1
        for _ in self.server.hosts:
            host = self.host
            try:
                return call(self._endpoints(host))
            except (nomad.api.exceptions.BaseNomadException, requests.RequestException) as error:
                answer = getattr(error, "nomad_resp", error)
            self.failed += 1
            # Raised where the library's error is no longer at hand: its text is all that Nomad said, secrets too.
            if isinstance(answer, requests.Response):
                raise meaning(self.server, answer.status_code, answer.text)
            self.leave(host)
            if not _was_not_sent(answer):
                break
        raise Unavailable(f"{self.server} does not answer")

    def _endpoints(self, host: Host) -> Endpoints:
        kept: dict[Host, Endpoints] = self._mine.__dict__.setdefault("endpoints", {})
        if host not in kept:
            kept[host] = self._made_for(host)
            self._sessions.append(kept[host].session)
        return kept[host]

    def _made_for(self, host: Host) -> Endpoints:
        session = requests.Session()
        session.trust_env = False
        trust = self.server.trust
        settings: dict[str, Any] = {
            "address": f"{'https' if self.server.tls else 'http'}://{host}",
            "namespace": self.namespace,
            "token": self.token,
            "timeout": TIMEOUT,
            "verify": trust.ca or True,
            "cert": (trust.cert, trust.key or trust.cert) if trust.cert else (),
            "session": session,
        }
        api = nomad.api
        return Endpoints(
            job=api.Job(**settings),
            jobs=api.Jobs(**settings),
            validate=api.Validate(**settings),
            allocations=api.Allocations(**settings),
            nodes=api.Nodes(**settings),
            node=api.Node(**settings),
            variable=api.Variable(**settings),
            variables=api.Variables(**settings),
            session=session,
        )


def _was_not_sent(error: Exception) -> bool:
    """Whether no connection stood, so that another host may be asked to do the same."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def meaning(server: Server, status: int, text: str) -> MirageError:
    """Which of our errors an answer of Nomad is: most of what the caller did wrong comes as a 500."""
    says = " ".join(text.replace("*", " ").split())[:500] or f"status {status}"
    low = says.lower()
    by_status: Mapping[int, type[MirageError]] = {
        400: Invalid, 403: Denied, 404: NotFound, 405: Invalid, 409: Conflict, 413: Invalid,
        429: Unavailable, 502: Unavailable, 503: Unavailable, 504: Unavailable,
    }  # fmt: skip
    if status == 409:
        return Conflict(f"{server} has another version of it")
    if status == 400 and any(word in low for word in BUSY):
        return Conflict(f"{server}: {says}")
    if found := by_status.get(status):
        return found(f"{server}: {says}")
    for words, error in ((OVERTAKEN, Conflict), (ABSENT, NotFound), (AWAY, Unavailable), (WRONG, Invalid)):
        if any(word in low for word in words):
            return error(f"{server}: {says}")
    return MirageError(f"{server}: {says}")
