"""What is lost while it is used: auth, and the gateway, as processes of their own on a real bus and directory.

Nobody is let in meanwhile who should not be, and all goes on by itself when it is back.
"""

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from services.cli.fleet.ports import free_ports
from services.contracts.endpoints import OFFER_FIRST_ACCOUNT
from services.kernel.calls import operator
from services.kernel.messages import workspace_id
from services.kernel.openapi import MEANT, PRINCIPAL
from services.kernel.principals import Signer, private_key, write_private_key, write_public_key
from tests.attacks.hulls import PASSWORD, ROOT, Door, Person, eventually, good, person
from tests.kernel.keys import seed_of
from tests.servers.running import Server

pytestmark = pytest.mark.server

SERVICES: Final = ("users", "auth", "gateway")
#: What a question is answered where nobody listens.
NOBODY_THERE: Final = 0


class Fleet(Door):
    """A gateway with auth and users behind it, each a process that may be killed and begun again where it was."""

    def __init__(self, folder: Path, bus: str, directory: str) -> None:
        *ports, public = free_ports(len(SERVICES) + 1)
        super().__init__(public)
        self._folder = folder
        self._ports = dict(zip(SERVICES, ports, strict=True))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MIRAGE_BUS": bus, "MIRAGE_DIRECTORY": directory,
            "MIRAGE_PUBLIC": f"127.0.0.1:{public}", "MIRAGE_MASTER_KEY": "7a" * 32,
            "MIRAGE_PEERS": ",".join(write_public_key(name, seed_of(name)) for name in (*SERVICES, "operator")),
        }  # fmt: skip
        for name in SERVICES:
            self.begin(name)

    def begin(self, name: str) -> None:
        """Begin a service, which comes to its port and its data again."""
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "services", "serve", name, "--listen", f"127.0.0.1:{self._ports[name]}"],
                stdout=log, stderr=log, env={
                    **self._environment, "MIRAGE_DATA": str(self._folder / name),
                    "MIRAGE_SIGNING_KEYS": write_private_key(name, seed_of(name)),
                },
            )  # fmt: skip

    def kill(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGKILL)
        self._processes[name].wait(30)

    def end(self) -> None:
        self.close()
        for name in SERVICES:
            self.kill(name)

    async def first_code(self) -> str:
        """The code of the first account, as the operator asks auth itself for it."""
        signer = Signer({"operator": private_key(seed_of("operator"))})
        headers = {PRINCIPAL: signer.sign(operator(workspace_id("default")), "auth"), MEANT: "auth"}
        url = f"http://127.0.0.1:{self._ports['auth']}{OFFER_FIRST_ACCOUNT.path}"
        async with aiohttp.ClientSession() as session, session.post(url, headers=headers) as answer:
            code: str = (await answer.json())["code"]
        return code


def status(door: Door, token: str) -> int:
    try:
        return door.ask("GET", "/v1/members", token=token).status
    except (OSError, http.client.HTTPException):
        return NOBODY_THERE


@contextmanager
def watched(fleet: Fleet, *tokens: str) -> Iterator[list[set[int]]]:
    """All that who has one of these tokens is answered while the block lasts, asking again and again."""
    ended, seen = threading.Event(), [set[int]() for _ in tokens]

    def look(token: str, statuses: set[int]) -> None:
        door = Door(fleet.port)
        while not ended.is_set():
            statuses.add(status(door, token))
            ended.wait(0.02)
        door.close()

    looking = [threading.Thread(target=look, args=each) for each in zip(tokens, seen, strict=True)]
    for each in looking:
        each.start()
    try:
        yield seen
    finally:
        ended.set()
        for each in looking:
            each.join()


@pytest.fixture
def fleet(tmp_path: Path, own_server: Callable[[str], Server]) -> Iterator[Fleet]:
    begun = Fleet(tmp_path, own_server("nats").url, own_server("consul").url)
    yield begun
    begun.end()


@pytest.fixture
async def jo(fleet: Fleet) -> Person:
    """The first account, once the fleet is there."""
    eventually(lambda: status(fleet, "guess") == 401)
    new = {"code": await fleet.first_code(), "email": "jo@example.org", "name": "Jo", "password": PASSWORD}
    return person(good(fleet.ask("POST", "/v1/accounts/first", new)))


def log_in(fleet: Fleet) -> Person:
    step = good(fleet.ask("POST", "/v1/sessions", {"email": "jo@example.org", "password": PASSWORD}))
    return person(step["session"])


def ended_session(fleet: Fleet) -> str:
    """A token of a session that has ended, as the gateway knows by now."""
    ended = log_in(fleet).access
    good(fleet.ask("GET", "/v1/members", token=ended))
    good(fleet.ask("DELETE", "/v1/session", token=ended))
    eventually(lambda: status(fleet, ended) == 401)
    return ended


def test_while_auth_is_away_nobody_is_let_in_wrongly_and_then_all_goes_on(fleet: Fleet, jo: Person) -> None:
    ended = ended_session(fleet)
    with watched(fleet, jo.access, ended, f"{jo.access[:-4]}AAAA") as (of_jo, of_ended, of_nobody):
        fleet.kill("auth")
        eventually(lambda: status(fleet, jo.access) == 503)  # it cannot be known any more what was revoked
        assert status(fleet, ended) in {401, 503}
        fleet.begin("auth")
        eventually(lambda: status(fleet, jo.access) == 200)
        eventually(lambda: status(fleet, ended) == 401)
    assert of_jo == {200, 503}
    assert of_ended <= {401, 503}
    assert of_nobody <= {401, 503}
    assert log_in(fleet).email == jo.email
    assert good(fleet.ask("POST", "/v1/sessions/refresh", {"refresh": jo.refresh}))["account"] == jo.account


def test_what_is_revoked_just_before_auth_is_lost_is_so_when_it_is_back(fleet: Fleet, jo: Person) -> None:
    other = log_in(fleet)
    good(fleet.ask("GET", "/v1/members", token=other.access))
    good(fleet.ask("DELETE", f"/v1/sessions/{other.session}", token=jo.access))
    fleet.kill("auth")
    eventually(lambda: status(fleet, jo.access) == 503)
    with watched(fleet, other.access) as (of_other,):
        fleet.begin("auth")
        eventually(lambda: status(fleet, jo.access) == 200)
        eventually(lambda: status(fleet, other.access) == 401)
    assert of_other <= {401, 503}


def test_a_gateway_that_is_begun_anew_lets_in_nobody_before_it_knows_whom(fleet: Fleet, jo: Person) -> None:
    ended = ended_session(fleet)
    with watched(fleet, jo.access, ended, "guess") as (of_jo, of_ended, of_nobody):
        for _ in range(2):
            fleet.kill("gateway")
            fleet.begin("gateway")
            eventually(lambda: status(fleet, jo.access) == 200)
            eventually(lambda: status(fleet, ended) == 401)
    assert of_jo <= {200, 503, NOBODY_THERE}
    assert of_ended <= {401, 503, NOBODY_THERE}
    assert of_nobody <= {401, 503, NOBODY_THERE}


def test_while_users_is_away_who_logs_in_is_told_so_and_nobody_becomes_another(fleet: Fleet, jo: Person) -> None:
    with watched(fleet, jo.access, "guess") as (of_jo, of_nobody):
        fleet.kill("users")
        reply = fleet.ask("POST", "/v1/sessions", {"email": "jo@example.org", "password": PASSWORD})
        assert reply.status == 503
        fleet.begin("users")
        eventually(lambda: status(fleet, jo.access) == 200)
    assert of_jo <= {200, 503}
    assert of_nobody <= {401, 503}
    known = {"email": "jo@example.org", "password": PASSWORD}
    eventually(lambda: fleet.ask("POST", "/v1/sessions", known).status == 200)
    assert log_in(fleet).roles == ("owner", "operator")
