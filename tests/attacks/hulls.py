"""The ways in which Mirage is served: `mirage up`, a gateway before services over HTTP, and a fleet (`tests/fleet`).

Whoever asks them here says each byte himself: a client library would refuse to send most of what is tried.
"""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from joserfc.jwk import OKPKey
from msgspec import Struct

from services.kernel.folder import MASTER_KEY
from services.kernel.seal import Seal, key_of_folder

ROOT: Final = Path(__file__).parents[2]
KINDS: Final = ("up", "gateway")
HOME: Final = "127.0.0.1"
JO: Final = "jo@example.org"
PASSWORD: Final = "correct horse battery"
#: What auth keeps of that by which it signs.
SIGNING_KEY: Final = "SELECT kid, sealed FROM signing_key ORDER BY begins"
MANY: Final = 1_000_000
#: Seconds for whatever is waited for.
PATIENCE: Final = 30.0


class Reply(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def anonymous(self) -> bytes:
        """The body without the id of its request."""
        return self.body.replace(self.headers["x-request-id"].encode(), b"")

    def json(self) -> Any:
        return json.loads(self.body)


class Door:
    """A port at which Mirage is asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._line: http.client.HTTPConnection | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        comes_from: str = HOME,
    ) -> Reply:
        """One request below ``/api``, in the same connection as the one before.

        ``comes_from``: another address of this machine, since who guesses is slowed by where he is.
        """
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        said = {"Content-Type": "application/json"} if content is not None else {}
        said |= {"Authorization": f"Bearer {token}"} if token else {}
        said |= headers or {}
        if content is not None:
            said.setdefault("Content-Length", str(len(content)))
        asked = (method, f"/api{path}", said, content)
        if comes_from != HOME:
            with closing(self._connect(comes_from)) as line:
                return talk(line, *asked)
        if self._line is not None:
            with suppress(ConnectionError, http.client.HTTPException):  # it was closed since
                return talk(self._line, *asked)
            self._line.close()
        self._line = self._connect(HOME)
        return talk(self._line, *asked)

    def _connect(self, comes_from: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE, source_address=(comes_from, 0))

    def connect(self, comes_from: str = HOME) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE, source_address=(comes_from, 0))

    def send(self, raw: bytes) -> bytes:
        """All that comes back of some bytes until the other side hangs up, or says nothing for a while."""
        with self.connect() as line:
            line.sendall(raw)
            return received(line)


class Hull(Door, ABC):
    """A server whose insides are ours, too; ``whole``: all services are behind it, discovery too."""

    whole = False

    @property
    @abstractmethod
    def pid(self) -> int:
        """Of the process that is asked."""

    @abstractmethod
    def make_jo(self) -> "Person":
        """Log in as the operator, who owns the workspace ``default``."""

    @abstractmethod
    def signing_key(self) -> tuple[str, OKPKey]:
        """That by which it signs access tokens, and its name."""


class LocalHull(Hull):
    """A server that runs on a folder; what it logs is in ``log``."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        nowhere = folder / "nowhere.json"
        nowhere.write_text(json.dumps({"version": 1, "entries": []}))
        up = ("services", "up", "--listen", "127.0.0.1:0", "--log", "debug", "--data", str(self.data))
        words = up if kind == "up" else ("tests.attacks.behind_gateway", str(self.data))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MIRAGE_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words], stderr=log, stdout=log,
                env={**clean, "PYTHONPATH": str(ROOT), "MIRAGE_DIAL_TABLE": str(nowhere),
                     "MIRAGE_RESOLVERS": "192.0.2.53"},
            )  # fmt: skip
        said = eventually(lambda: re.search(r"localhost:(\d+)/api/docs[^$]*?\nIts code: (\S+)\n", self.said()))
        super().__init__(int(said[1]))
        self.code = said[2]

    @property
    def pid(self) -> int:
        return self._process.pid

    def make_jo(self) -> "Person":
        new = {"code": self.code, "email": JO, "name": "Jo Doe", "password": PASSWORD}
        return person(good(self.ask("POST", "/v1/accounts/first", new)))

    def signing_key(self) -> tuple[str, OKPKey]:
        with closing(sqlite3.connect(f"file:{self.data / 'auth.db'}?mode=ro", uri=True)) as database:
            kid, sealed = database.execute(SIGNING_KEY).fetchone()
        return kid, opened(kid, sealed, key_of_folder(self.data / MASTER_KEY))

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def end(self) -> None:
        self.close()
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(PATIENCE) == 0, self.said()


def opened(kid: str, sealed: str, master_key: str) -> OKPKey:
    """A key as auth keeps it."""
    return OKPKey.import_key(json.loads(Seal(master_key).open(f"signing key {kid}", sealed)))


def talk(
    line: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Reply:
    line.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        line.putheader(name, value.encode("latin-1"))
    line.endheaders(body)
    answer = line.getresponse()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def received(line: socket.socket, quiet: float = 1.0) -> bytes:
    """What comes until the other side hangs up, or is quiet for so many seconds after it said something."""
    found = b""
    while True:
        try:
            more = line.recv(65_536)
        except TimeoutError:
            return found
        except ConnectionError:
            return found
        if not more:
            return found
        found += more
        line.settimeout(quiet)


def statuses(raw: bytes) -> list[int]:
    """Those of the answers that came in one connection."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", raw)]


def eventually(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What ``holds`` returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


class Person(Struct, frozen=True):
    """Somebody who is logged in, in a workspace."""

    email: str
    access: str
    refresh: str
    account: str
    session: str
    workspace: str
    roles: tuple[str, ...]


def person(logged_in: Mapping[str, Any]) -> Person:
    return Person(
        logged_in["email"], logged_in["access"], logged_in["refresh"], logged_in["account"], logged_in["session"],
        logged_in["workspace"], tuple(logged_in["roles"]),
    )  # fmt: skip


class People:
    """Those of a hull: ``jo`` owns it and is its operator; each role has somebody, in the workspace ``default``."""

    def __init__(self, hull: Hull) -> None:
        self._hull = hull
        self.jo = hull.make_jo()
        self._ask_as_often_as_we_like()
        good(hull.ask("POST", "/v1/workspaces", {"name": "elsewhere"}, token=self.jo.access))
        self.by_role = {role: self.invite(f"{role}@example.org", role) for role in ROLES}
        #: The same person in another workspace, of which an analyst is a member, too.
        self.elsewhere = self.refreshed(self.jo, "elsewhere")
        self.jo = self.log_in(JO)

    def _ask_as_often_as_we_like(self) -> None:
        """All tests come from one address, by few tokens; the limits of these are tested elsewhere."""
        often = {"requests": MANY, "seconds": 60}
        values = {"people": often, "scripts": often, "strangers": often}
        good(self._hull.ask("PUT", "/v1/settings/gateway", {"values": values}, token=self.jo.access))
        eventually(lambda: f";q={MANY};" in self._hull.ask("GET", "/v1/jwks").headers["ratelimit-policy"])

    def invite(self, email: str, role: str) -> Person:
        invitation = good(
            self._hull.ask("POST", "/v1/invitations", {"email": email, "role": role}, token=self.jo.access)
        )
        new = {"code": invitation["code"], "name": role.title(), "password": PASSWORD}
        return person(good(self._hull.ask("POST", "/v1/accounts", new)))

    def log_in(self, email: str, *, comes_from: str = HOME, **more: Any) -> Person:
        login = {"email": email, "password": PASSWORD, **more}
        step = good(self._hull.ask("POST", "/v1/sessions", login, comes_from=comes_from))
        return person(step["session"])

    def refreshed(self, who: Person, workspace: str = "") -> Person:
        asked = {"refresh": who.refresh, "workspace": workspace}
        return person(good(self._hull.ask("POST", "/v1/sessions/refresh", asked)))


ROLES: Final = ("viewer", "analyst", "admin", "owner")


def good(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return reply.json()


def answered(hull: Hull) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is documented and is behind the hull."""
    return (found for found in documented(hull) if hull.whole or found[2]["tags"] != ["discovery"])


def documented(hull: Door) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and what is said of it, for each endpoint of the document that a hull publishes."""
    for path, operations in good(hull.ask("GET", "/openapi.json"))["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path.removeprefix("/api"), operation
