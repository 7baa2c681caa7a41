"""The secrets of a fleet on this machine, made once: passwords, the gateway's token, the master key."""

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from services.kernel.errors import Invalid
from services.kernel.folder import write_private
from services.kernel.seal import make_key

FILE: Final = "secrets.json"


class Secrets(Struct, frozen=True, kw_only=True):
    """``admin``: of the user that may do everything, everywhere; ``services``: of each service's own user."""

    admin: str
    token: str
    master_key: str
    services: Mapping[str, str]

    def __repr__(self) -> str:
        return "Secrets(***)"


def keep_secrets(folder: Path, services: Iterable[str]) -> Secrets:
    """The secrets that are kept in ``folder``; those that are missing are made.

    Raises:
        Invalid: the file is none of secrets.
    """
    file = folder / FILE
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Secrets)
    except FileNotFoundError:
        kept = Secrets(admin=_password(), token=_password(), master_key=make_key(), services={})
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{file} cannot be read: {error}") from None
    missing = {name: _password() for name in services if name not in kept.services}
    if missing or not file.exists():
        kept = msgspec.structs.replace(kept, services={**kept.services, **missing})
        folder.mkdir(parents=True, exist_ok=True)
        write_private(file, msgspec.json.format(msgspec.json.encode(kept)).decode())
    return kept


def _password() -> str:
    return secrets.token_hex(20)
