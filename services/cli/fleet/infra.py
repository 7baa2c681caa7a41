"""The bus, the stores and Prometheus as jobs on this machine: their files, their variables, their secrets."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.cli.fleet import programs
from services.cli.fleet.ports import HOST, Ports
from services.kernel.errors import Conflict, Invalid, Unavailable
from services.kernel.scheduler.nomad import Nomad, Value

JOBS: Final = programs.ROOT / "jobs/infra"
#: What there is, in the order in which it is started; the job and the service in Consul are ``mirage-NAME``.
INFRA: Final = ("nats", "postgresql", "mongodb", "elasticsearch", "redis", "neo4j", "prometheus")
#: The name that a fleet has with all that it signs in to, and as whom PostgreSQL runs where we are root.
USER: Final = "mirage"
POSTGRES: Final = "postgres"


def job_of(name: str) -> str:
    """The job of what is in `INFRA`, its service in Consul, and the end of the path of its Nomad variable."""
    return f"mirage-{name}"


def secrets_path(name: str) -> str:
    """Where its secrets are kept in Nomad: its own tasks may read them."""
    return f"nomad/jobs/{job_of(name)}"


def hcl(name: str) -> str:
    return (JOBS / f"{name}.nomad.hcl").read_text("utf-8")


def missing(names: tuple[str, ...] = INFRA) -> list[str]:
    """Which of these have no program on this machine."""
    return programs.missing([_program(name) for name in names])


def variables(name: str, data: Path, ports: Ports) -> dict[str, Value]:
    """What a job is given so that it runs on this machine with ``raw_exec`` and keeps its data below ``data``.

    Raises:
        Unavailable: its program is not on this machine.
    """
    program = programs.find(_program(name))
    own = data / name
    given: dict[str, Value] = {"data": str(own), "port": getattr(ports, name)}
    if name == "postgresql":
        return {**given, "bin": str(program.parent), "user": POSTGRES if os.geteuid() == 0 else ""}
    given["command"] = str(program)
    if name == "nats":
        given["monitor_port"] = ports.nats_monitor
    if name == "mongodb" and program.name == "mongo":
        given["args"] = [str(own), f"{HOST}:{ports.mongodb}"]
    if name in {"elasticsearch", "neo4j"} and program.name == "start":
        given["args"] = [str(own), str(given["port"])]
    if name == "prometheus":
        given["consul"] = f"{HOST}:{ports.consul}"
        given["nomad"] = [f"{HOST}:{ports.nomad}", f"{HOST}:{ports.client}"]
    return given


def first_secrets(name: str) -> Mapping[str, str] | None:
    """What the first start needs: the fleet's own user may do everything; a user for each service comes later."""
    password = secrets.token_hex(16)
    login = {"user": USER, "password": password}
    if name == "nats":
        return {**login, "authorization": f'authorization {{ users: [{{ user: {USER}, password: "{password}" }}] }}'}
    if name == "redis":
        return {**login, "acl": f"user default off\nuser {USER} on >{password} ~* &* +@all"}
    if name == "neo4j":
        return {"user": "neo4j", "password": password}
    if name == "elasticsearch":
        return {"user": "elastic", "password": password}
    return None if name == "prometheus" else login


async def keep_secrets(nomad: Nomad, name: str) -> Mapping[str, str]:
    """Make its secrets unless there are any; return those that hold."""
    made = first_secrets(name)
    if made is None:
        return {}
    with suppress(Conflict):
        return (await nomad.put_variable(secrets_path(name), made, index=0)).items
    kept = await nomad.variable(secrets_path(name))
    if kept is None:
        raise Unavailable(f"the secrets of {name} were removed while they were read")
    return kept.items


async def begin(nomad: Nomad, name: str, data: Path, ports: Ports) -> None:
    """Register a job as it is to be on this machine, with its secrets and the way to its folder.

    Raises:
        Unavailable: its program is not on this machine.
    """
    job = await nomad.parse(hcl(name), variables(name, data, ports))
    open_way(data, for_another=name == "postgresql" and os.geteuid() == 0)
    await keep_secrets(nomad, name)
    await nomad.register(job)


def open_way(folder: Path, *, for_another: bool) -> None:
    """Make the folder that has a folder for each store; another user can pass through all folders to it.

    Raises:
        Invalid: one of them does not let another user, and one needs it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    for each in (folder, *folder.parents) if for_another else ():
        if not each.stat().st_mode & 0o001:
            raise Invalid(
                f"PostgreSQL runs as {POSTGRES}, and {each} lets nobody through to {folder}:"
                f" choose another folder with --data, or `chmod o+x {each}`"
            )


def _program(name: str) -> str:
    return "mongo" if name == "mongodb" else name
