"""The attacks of `tests/attacks` at the gateway of a whole fleet: what holds in one process holds here.

Left to those who have a server of their own is what leaves one changed (`test_documented`).
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import asyncpg
import pytest
from joserfc.jwk import OKPKey

from tests.attacks.hulls import JO, PASSWORD, SIGNING_KEY, Hull, People, Person, good, opened, person
from tests.attacks.test_canaries import found_in
from tests.attacks.test_guessing import *  # noqa: F403
from tests.attacks.test_mass_assignment import *  # noqa: F403
from tests.attacks.test_pages_from_elsewhere import *  # noqa: F403
from tests.attacks.test_paths import *  # noqa: F403
from tests.attacks.test_sessions import *  # noqa: F403
from tests.attacks.test_slowness import *  # noqa: F403
from tests.attacks.test_smuggling import *  # noqa: F403
from tests.attacks.test_tokens import *  # noqa: F403
from tests.fleet.running import Fleet, instances

#: What is found of somebody, and so would be what must not be.
NO_SECRET = "address, plain"

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]


class FleetHull(Hull):
    """The gateway of a fleet whose first account there is already."""

    whole = True

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(int(fleet.listen.rpartition(":")[2]))
        self._fleet = fleet

    @property
    def pid(self) -> int:
        return asyncio.run(self._find_gateway())

    async def _find_gateway(self) -> int:
        nomad = self._fleet.nomad()
        try:
            (allocation,) = await instances(nomad, "gateway")
        finally:
            await nomad.close()
        return self._fleet.process_of(allocation)

    def make_jo(self) -> Person:
        step = good(self.ask("POST", "/v1/sessions", {"email": JO, "password": PASSWORD, "workspace": "default"}))
        return person(step["session"])

    def signing_key(self) -> tuple[str, OKPKey]:
        kid, sealed = asyncio.run(self._read_key())
        return kid, opened(kid, sealed, self._fleet.deployment.secrets.master_key)

    async def _read_key(self) -> tuple[str, str]:
        connection = await asyncpg.connect(self._fleet.setting("auth", "sql"))
        try:
            kid, sealed = await connection.fetchrow(SIGNING_KEY)
        finally:
            await connection.close()
        return kid, sealed


@pytest.fixture(scope="module")
def hull(fleet: Fleet) -> Iterator[FleetHull]:
    begun = FleetHull(fleet)
    yield begun
    begun.close()


@pytest.fixture(scope="module")
def people(hull: FleetHull) -> Iterator[People]:
    """They ask as often as they like, until these tests are over."""
    made = People(hull)
    yield made
    limits = dict.fromkeys(("people", "scripts", "strangers"))
    good(hull.ask("PUT", "/v1/settings/gateway", {"values": limits}, token=made.log_in(JO).access))


def test_no_secret_of_people_is_in_anything_that_a_fleet_has_written(
    hull: FleetHull, people: People, fleet: Fleet
) -> None:
    """After all of the above: logs, databases, streams, snapshots, whatever lies in its folder, but the code."""
    person = people.log_in("admin@example.org")
    key = "canaryKey7Tj5cPz0VbWq"
    script = {"name": "canary", "permissions": ["read"], "expires": time.time_ns() // 1000 + 3_600_000_000}
    invited = {"email": "canary@example.org", "role": "viewer"}
    good(hull.ask("PUT", "/v1/keys/urlscan", {"secret": key}, token=people.jo.access))
    secrets = {
        "password": PASSWORD, "access": person.access, "refresh": person.refresh, "key": key,
        "script": good(hull.ask("POST", "/v1/tokens", script, token=person.access))["token"],
        "invitation": good(hull.ask("POST", "/v1/invitations", invited, token=person.access))["code"],
        "address": invited["email"],
    }  # fmt: skip
    good(hull.ask("DELETE", "/v1/keys/urlscan", token=people.jo.access))
    assert hull.ask("POST", "/v1/sessions", {"email": JO, "password": key}).status == 401
    told = [path for name in ("agents", "data", "logs") for path in (fleet.folder / name).rglob("*") if path.is_file()]
    kept = {path.relative_to(fleet.folder).parts[1] for path in told}
    assert {"postgresql", "nats", "mongodb", "elasticsearch", "nomad-client"} <= kept
    found = {}
    for path in told:
        with suppress(FileNotFoundError):  # a server has done away with it meanwhile
            found[str(path)] = found_in(path.read_bytes(), secrets)
    assert {path: each for path, each in found.items() if set(each) - {NO_SECRET}} == {}
    assert any(found.values())
