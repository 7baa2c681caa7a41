"""Whom Consul and Nomad let in: the operator, each service to what it declares, and anybody to see who there is.

https://developer.hashicorp.com/consul/api-docs/acl and https://developer.hashicorp.com/nomad/api-docs/acl.
"""

import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import aiohttp
import msgspec

from services.cli.fleet import programs
from services.cli.rendering.jobs import job_name
from services.kernel.errors import Unavailable
from services.kernel.server import Server
from services.kernel.service import Service

#: Of who comes without a token: the names and addresses of what there is, and what agents measure, are no secret.
ANYBODY: Final = "".join(f'{kind}_prefix "" {{ policy = "read" }}\n' for kind in ("service", "node", "agent"))
ANONYMOUS: Final = "00000000-0000-0000-0000-000000000002"
#: What a service may do in Nomad that has a scheduler: its own job's identity carries it.
SCHEDULING: Final = programs.ROOT / "jobs/policies/scheduling.hcl"
SECONDS: Final = aiohttp.ClientTimeout(total=10)


def token_of(password: str) -> str:
    """The token of who has a password: these servers take nothing but a UUID."""
    return str(UUID(bytes=hmac.digest(password.encode(), b"token", "sha256")[:16], version=4))


async def open_nomad(nomad: Server) -> None:
    """Make the token of ``nomad``'s URL the operator's; that can be done once.

    Raises:
        Unavailable: Nomad does not answer.
    """
    async with _asking(nomad) as http:
        # 400: it was done before. 401: this one runs without access lists since before there were any.
        await _put(http, "acl/bootstrap", {"BootstrapSecret": nomad.password}, also=(400, 401))


async def provide(consul: Server, nomad: Server, services: Sequence[Service], tokens: Mapping[str, str]) -> None:
    """Let each service in by its token, with what its policy says; ``consul`` and ``nomad`` are the operator's.

    Raises:
        Unavailable: one of them does not answer, or refuses.
    """
    async with _asking(consul) as http:
        await _keep_policy(http, "anybody", ANYBODY)
        await _put(http, f"acl/token/{ANONYMOUS}", {"Policies": [{"Name": "anybody"}]})
        for service in services:
            name = job_name(service.name)
            await _keep_policy(http, name, (programs.ROOT / f"consul/policies/{service.name}.hcl").read_text("utf-8"))
            token = tokens[service.name]
            if not await _found(http, "acl/token/self", {"X-Consul-Token": token}):
                made = {"SecretID": token, "Description": name, "Policies": [{"Name": name}]}
                await _put(http, "acl/token", made)
    async with _asking(nomad) as http:
        for name in (job_name(service.name) for service in services if "scheduler" in service.needs):
            job = {"Namespace": "default", "JobID": name}
            await _put(
                http, f"acl/policy/{name}", {"Name": name, "Rules": SCHEDULING.read_text("utf-8"), "JobACL": job}
            )


@asynccontextmanager
async def _asking(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    token = {f"X-{server.kind.capitalize()}-Token": server.password}
    try:
        async with aiohttp.ClientSession(
            f"http://{server.address}/v1/", headers=token, timeout=SECONDS, trust_env=False
        ) as session:
            yield session
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"{server} lets nobody in: {error}") from None


async def _keep_policy(http: aiohttp.ClientSession, name: str, rules: str) -> None:
    found = await _found(http, f"acl/policy/name/{name}")
    await _put(http, f"acl/policy/{found['ID']}" if found else "acl/policy", {"Name": name, "Rules": rules})


async def _found(http: aiohttp.ClientSession, path: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What is there; nothing where nothing is."""
    async with http.get(path, headers=headers) as answer:
        if answer.status in {403, 404}:
            return {}
        answer.raise_for_status()
        return msgspec.json.decode(await answer.read(), type=dict[str, Any])


async def _put(http: aiohttp.ClientSession, path: str, content: Mapping[str, Any], *, also: Sequence[int] = ()) -> None:
    async with http.put(path, data=msgspec.json.encode(content)) as answer:
        if answer.status not in also:
            answer.raise_for_status()
