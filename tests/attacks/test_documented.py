"""The published document, tried with good tokens at both hulls: whatever is asked, the answer is documented.

`tests/services/test_doors.py` does the same to the doors of services alone; here is what is between them and people.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from services.contracts.endpoints import DIFF
from services.kernel.calls import Endpoint
from tests.attacks.hulls import KINDS, LocalHull, People, Person, good
from tests.services.documented import check_answers
from tests.services.test_doors import ENDPOINTS, SENSIBLE

pytestmark = pytest.mark.slow


class Tried:
    """A hull of its own, since what is asked at random changes it; ``scan`` has ended, so that watching it ends too."""

    def __init__(self, hull: LocalHull) -> None:
        import schemathesis  # it takes a second that a run without these tests lacks

        self.hull = hull
        self._places = 0
        self.people = People(hull)
        self.document = schemathesis.openapi.from_url(f"http://127.0.0.1:{hull.port}/api/openapi.json")
        self.known = {"operator": self.people.jo, "owner": self.people.by_role["owner"]}
        self.scan = self.new_scan("owner")
        good(hull.ask("POST", f"/v1/scans/{self.scan}/stop", token=self.token("owner")))

    def token(self, who: str) -> str:
        """One that is good: what was asked may have ended the one before."""
        if self.hull.ask("GET", "/v1/members", token=self.known[who].access).status != 200:
            self.known[who] = self.log_in(self.known[who])
        return self.known[who].access

    def log_in(self, who: Person) -> Person:
        """From elsewhere each time: what was tried at random came from one network, and is slowed there."""
        self._places += 1
        return self.people.log_in(who.email, workspace="default", comes_from=f"127.2.{self._places}.1")

    def new_scan(self, who: str) -> str:
        """A scan that there is; it finds no way to anybody."""
        body = {"targets": ["example.org"], "modules": ["crtsh"]}
        scan: str = good(self.hull.ask("POST", "/v1/scans", body, token=self.token(who)))["id"]
        return scan


@pytest.fixture(scope="module", params=KINDS)
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    hull = LocalHull(request.param, tmp_path_factory.mktemp(request.param))
    yield Tried(hull)
    hull.end()


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("who", ["owner", "operator"])
def test_whatever_is_asked_with_a_good_token_is_answered_as_documented(
    tried: Tried, who: str, endpoint: Endpoint[Any, Any], mode: str
) -> None:
    operation = tried.document[f"/api{endpoint.path}"][endpoint.method]
    about = tried.scan if endpoint.method == "GET" else tried.new_scan(who)
    sensible = {**SENSIBLE, "scan": about, "before": tried.scan, **({"after": tried.scan} if endpoint is DIFF else {})}
    headers = {"Authorization": f"Bearer {tried.token(who)}"}
    check_answers(operation, sensible, mode, 6 if mode == "positive" else 3, headers)
