"""The bus, the stores and Prometheus as jobs on this machine: their files and their variables."""

import os
from pathlib import Path
from typing import Final

from services.cli.fleet import programs
from services.cli.fleet.ports import HOST, Ports
from services.cli.rendering.jobs import job_name
from services.kernel.errors import Invalid
from services.kernel.folder import make_private
from services.kernel.scheduler.nomad import Nomad
from services.kernel.scheduler.nomad_hcl import Value

JOBS: Final = programs.ROOT / "jobs/infra"
#: What there is, in the order in which it is started.
INFRA: Final = ("nats", "postgresql", "mongodb", "elasticsearch", "redis", "neo4j", "prometheus")
#: What a fleet has without being asked.
STANDING_ON: Final = ("nats", "postgresql", "mongodb", "elasticsearch", "redis", "neo4j")
#: The name that a fleet has with all that it signs in to, and as whom PostgreSQL runs where we are root.
USER: Final = "mirage"
POSTGRES: Final = "postgres"


def secrets_path(name: str) -> str:
    """Where the secrets of a job are kept in Nomad: its own tasks may read them."""
    return f"nomad/jobs/{job_name(name)}"


def hcl(name: str) -> str:
    return (JOBS / f"{name}.nomad.hcl").read_text("utf-8")


def missing(names: tuple[str, ...] = INFRA) -> list[str]:
    """Which of these have no program on this machine."""
    return programs.missing([_program(name) for name in names])


def variables(name: str, data: Path, ports: Ports, launchers: Path = programs.LAUNCHERS) -> dict[str, Value]:
    """What a job is given so that it runs on this machine with ``raw_exec`` and keeps its data below ``data``.

    ``launchers``: a copy of our own, which stays what it is while jobs run.

    Raises:
        Unavailable: its program is not on this machine.
    """
    program = programs.find(_program(name))
    if program.is_relative_to(programs.LAUNCHERS):
        program = launchers / program.relative_to(programs.LAUNCHERS)
    own = data / name
    given: dict[str, Value] = {"data": str(own), "port": getattr(ports, name)}
    if name == "postgresql":
        return {**given, "bin": str(program.parent), "user": POSTGRES if is_for_another(name) else ""}
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


async def begin(nomad: Nomad, name: str, data: Path, ports: Ports, launchers: Path = programs.LAUNCHERS) -> None:
    """Register a job as it is to be on this machine, with the way to its folder; it waits for its secrets.

    Raises:
        Unavailable: its program is not on this machine.
    """
    job = await nomad.parse(hcl(name), variables(name, data, ports, launchers))
    open_way(data, for_another=is_for_another(name))
    if not is_for_another(name):
        make_private(data / name)
    await nomad.register(job)


def is_for_another(name: str) -> bool:
    """Whether it runs as another user than we."""
    return name == "postgresql" and os.geteuid() == 0


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
