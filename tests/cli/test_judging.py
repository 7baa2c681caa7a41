"""How sure one can be and what is one, at the command line."""

import asyncio
import json
from pathlib import Path

import pytest

from services.catalogue import load_embedded
from services.contracts import attributes, entities, relations
from services.correlation.usecases import identity
from services.kernel.messages import now, workspace_id
from services.kernel.runtime import Runtime
from services.kernel.service import Received
from services.kernel.settings import Settings
from services.storage.consumers import collected
from tests.cli.conftest import Mirage
from tests.cli.fields import documented
from tests.services.correlation.identity.worlds import facts, related
from tests.services.storage.depot import result

DEFAULT = workspace_id("default")
NAME = entities.domain("example.org")
ACME, LTD = entities.organization("name", "Acme Widgets GmbH"), entities.organization("name", "Acme Widgets Ltd")
HOSTILE = entities.organization("name", "Acme Widgets \x1b[31mred")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two sources disagree, and companies have one name."""
    folder = tmp_path_factory.mktemp("judged")

    async def fill() -> None:
        async with Runtime(load_embedded(), Settings(data=str(folder)), works=False) as runtime:
            said = [
                result("rdap_domain", attributes.attribute(NAME, "registrar", "Quay \x1b[31m"), at=now()),
                result("otx", attributes.attribute(NAME, "registrar", "Harbour"), NAME, at=now()),
            ]
            storage, correlation = runtime.ports["storage"], runtime.ports["correlation"]
            async with storage.outbox.unit() as unit:
                await collected(storage, unit, [Received(each, DEFAULT, now()) for each in said])
            key = related(relations.controls(ACME, entities.crypto_key("pgp", "a" * 40)))
            async with correlation.sql.begin() as tx:
                things = [facts(each) for each in (ACME, LTD, HOSTILE)]
                await identity.follow(correlation, tx, DEFAULT, said[0].scan, things, [key], ())

    asyncio.run(fill())
    return folder


def test_a_number_is_shown_with_what_makes_it_and_a_policy_changes_it_at_once(mirage: Mirage, data: Path) -> None:
    folder = ("--data", str(data))
    code, out, _ = mirage("show", "example.org", "--confidence", *folder)
    assert code == 0
    assert "   78  registrar = Quay" in out
    assert "rdap_domain@1" in out
    assert "0.90 reliable" in out
    assert "\x1b" not in out
    assert mirage("policy", "set", "rdap_domain=D", "--reason", "its names are old", *folder)[0] == 0
    code, out, _ = mirage("show", "example.org", "--confidence", *folder, "--format", "json")
    statements = {each["value"]: each for (view,) in [json.loads(out)] for each in view["statements"]}
    assert statements["Harbour"]["wins"]
    assert mirage("policy", "reset", *folder)[0] == 0
    assert "   78  registrar = Quay" in mirage("show", "example.org", "--confidence", *folder)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("policy", "set", "crtch=0.5"), "did you mean crtsh?"),
        (("policy", "set", "crtsh"), "not written like"),
        (("policy", "set", "crtsh=Z"), "a letter from A to F"),
        (("policy", "set", "--half-life", "resolves_to=soon"), "number of days"),
        (("policy", "set"), "say what to set"),
        (("policy", "reset", "crtsh"), "nothing is set of"),
        (("identity", "accept", "ffffffffffffffff"), "there is no hypothesis"),
        (("identity", "accept", "not-an-id"), "is not the beginning of an id"),
    ],
)
def test_a_slip_of_the_pen_is_one_line(mirage: Mirage, data: Path, words: tuple[str, ...], said: str) -> None:
    code, out, err = mirage(*words, "--data", str(data))
    assert (code > 0, out, err.count("\n")) == (True, "", 1)
    assert said in err


def test_what_may_be_one_is_listed_accepted_shown_and_split(mirage: Mirage, data: Path) -> None:
    folder = ("--data", str(data))
    code, out, _ = mirage("identity", "list", *folder, "--format", "json")
    pairs = {frozenset((each["one"]["value"], each["other"]["value"])): each for each in json.loads(out)["hypotheses"]}
    found = pairs[frozenset((ACME.value, LTD.value))]
    code, out, _ = mirage("identity", "accept", found["id"][:13], "--reason", "one register number", *folder)
    assert (code, "one register number" in out) == (0, True)
    code, out, _ = mirage("identity", "show", ACME.value, *folder)
    assert f"is one with {ACME.value}" in out or f"is one with {LTD.value}" in out
    code, out, _ = mirage("identity", "show", ACME.value, LTD.value, *folder)
    assert "+ 0.70  both are named acme widgets" in out
    assert mirage("identity", "split", found["id"][:13], "--different", *folder)[0] == 0
    assert "rejected" in mirage("identity", "show", ACME.value, LTD.value, *folder)[1]
    code, out, _ = mirage("identity", "list", *folder)
    assert (code, "\x1b" in out) == (0, False)
    assert mirage("identity", "show", "nobody.example", *folder)[0] == 1


@pytest.mark.parametrize("verb", ["show --confidence", "policy show", "identity list", "identity show"])
def test_what_is_printed_as_json_has_the_fields_that_its_page_names(mirage: Mirage, data: Path, verb: str) -> None:
    more = {"show --confidence": ("example.org",), "identity show": (ACME.value,)}.get(verb, ())
    code, out, _ = mirage(*verb.split(), *more, "--data", str(data), "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert set(found[0] if isinstance(found, list) else found) == documented()[verb]
