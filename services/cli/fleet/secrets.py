"""The secrets of a fleet on this machine, made once: passwords and the master key."""

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import mkstemp
from typing import Final

import msgspec
from msgspec import Struct

from services.kernel.errors import Conflict, Invalid
from services.kernel.seal import make_key

FILE: Final = "secrets.json"
#: Who may ask services everything: whoever reads the fleet's secrets.
OPERATOR: Final = "operator"


class Secrets(Struct, frozen=True, kw_only=True):
    """``admin``: of the user that may do everything, everywhere; ``services``: of each service's own user.

    ``signing``: the private key, in hexadecimal digits, by which each service, and the operator, says that it asks; no
    server is told any of them.
    """

    admin: str
    master_key: str
    services: Mapping[str, str]
    signing: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return "Secrets(***)"


def keep_secrets(folder: Path, services: Iterable[str]) -> Secrets:
    """The secrets that are kept in ``folder``; those that are missing are made.

    Raises:
        Invalid: the file is none of secrets.
        Conflict: another process makes them at this moment.
    """
    found = find_secrets(folder)
    kept = found or Secrets(admin=_password(), master_key=make_key(), services={})
    named = list(services)
    missing = {name: _password() for name in named if name not in kept.services}
    unsigned = {name: secrets.token_hex(32) for name in (OPERATOR, *named) if name not in kept.signing}
    if missing or unsigned or found is None:
        kept = msgspec.structs.replace(
            kept, services={**kept.services, **missing}, signing={**kept.signing, **unsigned}
        )
        _write(folder, kept, first=found is None)
    return kept


def read_secrets(folder: Path) -> Secrets:
    """The secrets of the fleet in ``folder``.

    Raises:
        Invalid: there is none, or the file is none of secrets.
    """
    if (kept := find_secrets(folder)) is None:
        raise Invalid(f"there is no fleet in {folder}: bring one up (mirage fleet up), or name its folder (--data)")
    return kept


def find_secrets(folder: Path) -> Secrets | None:
    """The secrets of the fleet in ``folder``; None where there is none.

    Raises:
        Invalid: the file is none of secrets.
    """
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Secrets)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{file} cannot be read: {error}") from None


def _write(folder: Path, kept: Secrets, *, first: bool) -> None:
    """Write the file, all of it or nothing.

    Raises:
        Conflict: it is the first, and somebody else has been quicker: stores may have been told theirs already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, written = mkstemp(prefix=f"{FILE}.", dir=folder)  # for its user alone
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(kept)))
            stream.flush()
            os.fsync(descriptor)
        if first:
            os.link(written, folder / FILE)
        else:
            Path(written).replace(folder / FILE)
    except FileExistsError:
        raise Conflict(f"another process has made the secrets of the fleet in {folder}") from None
    finally:
        Path(written).unlink(missing_ok=True)


def _password() -> str:
    return secrets.token_hex(20)
