"""What becomes of a new version is said as it is, though Nomad has the old one run again and is content."""

from pathlib import Path

import pytest

from services.cli.fleet import rollout
from services.cli.fleet.infra import secrets_path
from services.cli.rendering.jobs import job_name
from services.kernel.errors import Conflict, Unavailable
from services.kernel.scheduler.nomad import Nomad
from tests.servers.jobs import job

pytestmark = pytest.mark.server

WELL, BROKEN = "exec sleep 600", "exit 1"


@pytest.fixture
def service(service_name: str) -> str:
    return service_name


def rendered(service: str, script: str) -> str:
    """A job as a service has one: a new version runs beside the old one first."""
    variables = "\n".join(f'variable "{name}" {{\n  type = string\n}}' for name in ("revision", "settings"))
    meta = "meta {\n    revision = var.revision\n    settings = var.settings\n  }"
    hcl = job(job_name(service), script)
    update = "max_parallel = 1\n    canary = 1\n    auto_promote = true\n    auto_revert = true"
    hcl = hcl.replace("max_parallel      = 5", update).replace("  update {", f"  {meta}\n  update {{")
    # With none, one that ends at once has been well for a moment, and Nomad waits for it for ever.
    return variables + hcl.replace('min_healthy_time  = "0s"', 'min_healthy_time  = "1s"')


async def begin(nomad: Nomad, service: str, revision: str, script: str, proxy: str = "") -> rollout.Rollout:
    secrets = {"proxy": proxy}
    given = {"revision": revision, "settings": rollout.digest_of(secrets)}
    return await rollout.begin(nomad, service, rendered(service, script), given, secrets)


async def kept(nomad: Nomad, service: str) -> dict[str, str]:
    variable = await nomad.variable(secrets_path(service))
    assert variable is not None
    return dict(variable.items)


async def test_a_version_that_is_taken_back_is_no_success_and_its_secrets_go_with_it(
    nomad: Nomad, service: str, tmp_path: Path
) -> None:
    await rollout.settle(nomad, await begin(nomad, service, "one", WELL, proxy="first"), tmp_path)
    before = {each.id for each in (await nomad.status(job_name(service))).allocations if each.runs}
    broken = await begin(nomad, service, "two", BROKEN, proxy="second")
    with pytest.raises(
        Conflict, match=r"was taken back: revision two with .* did not get well, revision one "
    ) as caught:
        await rollout.settle(nomad, broken, tmp_path)
    assert str(tmp_path) in str(caught.value), "the log of the one that failed is not named"
    assert await kept(nomad, service) == {"proxy": "first"}
    status = await nomad.status(job_name(service))
    assert {each.id for each in status.allocations if each.runs} == before
    await rollout.settle(nomad, await begin(nomad, service, "one", WELL, proxy="first"), tmp_path)
    assert {each.id for each in (await nomad.status(job_name(service))).allocations if each.runs} == before


async def test_other_secrets_alone_are_brought_out_as_a_version(nomad: Nomad, service: str, tmp_path: Path) -> None:
    await rollout.settle(nomad, await begin(nomad, service, "one", WELL, proxy="first"), tmp_path)
    before = {each.id for each in (await nomad.status(job_name(service))).allocations if each.runs}
    await rollout.settle(nomad, await begin(nomad, service, "one", WELL, proxy="second"), tmp_path)
    assert await kept(nomad, service) == {"proxy": "second"}
    after = {each.id for each in (await nomad.status(job_name(service))).allocations if each.runs}
    assert len(after) == 1
    assert not after & before


async def test_a_first_version_that_does_not_get_well_is_said_so(nomad: Nomad, service: str, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match=f"{service} does not get well: "):
        await rollout.settle(nomad, await begin(nomad, service, "one", BROKEN), tmp_path)


async def test_what_does_not_run_in_time_is_named(nomad: Nomad, service: str) -> None:
    await begin(nomad, service, "one", WELL)
    with pytest.raises(Unavailable, match=f"{service} is not well after 0 s"):
        await rollout.settled(nomad, service, 0)


def test_a_digest_tells_what_is_told_apart_whatever_its_order() -> None:
    assert rollout.digest_of({"a": "1", "b": "2"}) == rollout.digest_of({"b": "2", "a": "1"})
    told = [({"a": "1"}, {}), ({}, {"a": "1"}), ({"a": "2"}, {}), ({"a": "1", "b": ""}, {})]
    assert len({rollout.digest_of(*each) for each in told}) == len(told)
