"""Every door of every service over HTTP, on a real process: whatever is asked, the answer is one that is documented."""

import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from msgspec import inspect

from services.catalogue import load_embedded, load_services
from services.contracts.endpoints import DIFF
from services.kernel.app import create_app, identify_operator
from services.kernel.calls import UNGRANTED, Endpoint
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from tests.services.documented import check_answers


class Mirage:
    """All services behind HTTP; the process lives as long as the application does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._app: Litestar | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            assert self._app is not None
            await self._app(scope, receive, send)
            return
        nowhere = self._folder / "nowhere.json"
        nowhere.write_text(json.dumps({"version": 1, "entries": []}))
        settings = Settings(data=str(self._folder / "data"), dial_table=str(nowhere), resolvers=("192.0.2.53",))
        await receive()
        from schemathesis.python import asgi  # here and below: it takes a second that a run without these tests lacks

        async with Runtime(load_embedded(), settings) as runtime:
            self._app = create_app(
                runtime.calls,
                runtime.calls.endpoints,
                hosts=frozenset({asgi.HOST}),
                identify=identify_operator(),
                prefix="/api",
                ready=runtime.ready,
                public=True,
            )
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture(scope="module")
def doors() -> Any:
    import schemathesis
    from schemathesis.python import asgi

    with tempfile.TemporaryDirectory() as folder:
        yield schemathesis.openapi.from_asgi("/api/openapi.json", Mirage(Path(folder)))
        asgi.shutdown_lifespans()


#: Those that are described: for people and their scripts.
ENDPOINTS = [endpoint for service in load_embedded() for endpoint in service.answers if endpoint.needs != UNGRANTED]


def test_what_may_not_be_asked_twice_is_no_get_which_a_client_may_repeat_by_itself() -> None:
    assert all(endpoint.idempotent for endpoint in ENDPOINTS if endpoint.method == "GET")


def test_what_comes_in_a_query_is_one_value_each() -> None:
    """A list would be written as Python shows it, and could not be read on the other side."""
    many = (inspect.ListType, inspect.VarTupleType, inspect.TupleType, inspect.DictType, inspect.StructType)
    asked = [each for service in load_services() for each in service.answers if each.method in {"GET", "DELETE"}]
    lists = [
        f"{each.service}.{each.name}: {field.name}"
        for each in asked
        for field in msgspec.structs.fields(each.takes)
        if isinstance(inspect.type_info(field.type), many)
    ]
    assert lists == []


#: What makes sense where a question has a field of this name; whatever else is asked is made up.
SENSIBLE = {
    "module": "crtsh", "name": "shodan", "digest": "ab" * 32, "record": "ab" * 32, "item": None, "after": "",
    "limit": 5, "cursor": None, "role": None, "type": None, "value": "www.example.org", "format": "jsonl",
    "options": {}, "targets": ["example.org", "192.0.2.0/28"], "profile": "deep", "modules": [], "words": None,
    "exclude": ["active"], "scope": ["*.example.net"], "exclude_scope": [], "networks": ["192.0.2.0/24"],
    "resolvers": ["192.0.2.53"], "limits": {"max_depth": 1, "max_items": 100},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_whatever_is_asked_the_answer_is_one_that_is_documented(
    doors: Any, scan: str, endpoint: Endpoint[Any, Any], mode: str
) -> None:
    operation = doors[f"/api{endpoint.path}"][endpoint.method]
    about = scan if endpoint.method == "GET" else new_scan(doors)
    sensible = {**SENSIBLE, "scan": about, "before": scan, **({"after": scan} if endpoint is DIFF else {})}
    check_answers(operation, sensible, mode, 12 if mode == "positive" else 4)


def new_scan(doors: Any) -> str:
    """A scan that there is; it finds no way to anybody."""
    body = {"targets": ["example.org"], "modules": ["crtsh"]}
    case = doors["/api/v1/scans"]["POST"].Case(body=body, media_type="application/json")
    return case.call().json()["id"]


@pytest.fixture(scope="module")
def scan(doors: Any) -> str:
    """A scan that has ended, so that watching it ends too."""
    made = new_scan(doors)
    doors["/api/v1/scans/{scan}/stop"]["POST"].Case(path_parameters={"scan": made}).call()
    return made
