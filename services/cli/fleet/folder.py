"""The folder of a fleet: where it is, who is at work on it, and what it has for the other tools of its operator."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Final

from services.cli.fleet.access import token_of
from services.cli.fleet.infra import USER
from services.cli.fleet.ports import HOST, Ports
from services.kernel.errors import Conflict
from services.kernel.folder import write_private
from services.kernel.scheduler.nomad_hcl import Value, literal

LOCK: Final = "lock"
#: What ``nomad``, ``consul`` and ``nats`` need in their environment, for a shell to read; it has a password.
ENVIRONMENT: Final = "environment"
EXTRA: Final = "extra"


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Be the only one who brings the fleet in ``folder`` up or down; others may pass through to what they own in it.

    Raises:
        Conflict: another process is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"the fleet in {folder} is being brought up or down by another process") from None
        yield
    finally:
        os.close(lock)


def write_environment(folder: Path, ports: Ports, password: str, variables: Mapping[str, Value]) -> None:
    """Write what a shell reads to have ``nomad``, ``consul`` and ``nats`` find the fleet, and be let in.

    ``password`` is the operator's; ``variables`` are what ``nomad job run jobs/SERVICE.nomad.hcl`` is to give a job.
    """
    found = {
        "NOMAD_ADDR": f"http://{HOST}:{ports.nomad}",
        "NOMAD_TOKEN": token_of(password),
        "CONSUL_HTTP_ADDR": f"http://{HOST}:{ports.consul}",
        "CONSUL_HTTP_TOKEN": token_of(password),
        "NATS_URL": f"nats://{HOST}:{ports.nats}",
        "NATS_USER": USER,
        "NATS_PASSWORD": password,
        # Nomad takes texts as they are, and all else as HCL.
        **{f"NOMAD_VAR_{name}": each if isinstance(each, str) else literal(each) for name, each in variables.items()},
    }
    write_private(
        folder / ENVIRONMENT, "".join(f"export {name}={quote(value)}\n" for name, value in sorted(found.items()))
    )


def read_extra(folder: Path) -> tuple[str, ...]:
    """The infrastructure that the fleet has beyond what it needs, as was asked for once."""
    file = folder / EXTRA
    return tuple(file.read_text("ascii").split()) if file.exists() else ()


def keep_extra(folder: Path, extra: Sequence[str]) -> None:
    write_private(folder / EXTRA, " ".join(extra))
