"""Provider keys: in a file of the data folder that only its owner reads, or in the environment; never in a log."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from services.kernel.errors import Invalid, NotFound
from services.kernel.folder import KEYS, write_private

PREFIX: Final = "MIRAGE_KEY_"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
MAX_SECRET: Final = 4096


class KeyRing:
    """Keys by name; the environment (``MIRAGE_KEY_<NAME>``) wins over the file."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self._file = folder / KEYS
        self._environ = os.environ if environ is None else environ

    def find(self, name: str) -> str | None:
        """The secret of a key, None when it is not set."""
        return self._environ.get(PREFIX + name.upper(), "").strip() or self._read().get(name)

    def names(self) -> dict[str, Literal["file", "environment"]]:
        """The keys that are set and where."""
        found: dict[str, Literal["file", "environment"]] = dict.fromkeys(self._read(), "file")
        for variable, secret in self._environ.items():
            if variable.startswith(PREFIX) and secret.strip():
                found[variable.removeprefix(PREFIX).lower()] = "environment"
        return dict(sorted(found.items()))

    def set(self, name: str, secret: str) -> None:
        """Keep a key in the file; `Invalid` for a name or secret that cannot be one."""
        if not _NAME.fullmatch(name):
            raise Invalid(f"{name!r} is no name of a key: small letters, digits and underscores")
        secret = secret.strip()
        if not secret or len(secret) > MAX_SECRET or not (secret.isascii() and secret.isprintable()):
            raise Invalid("a key is one line of printable ASCII characters")
        self._write({**self._read(), name: secret})

    def remove(self, name: str) -> None:
        """Forget a key of the file; `NotFound` when it is not there."""
        keys = self._read()
        if name not in keys:
            raise NotFound(f"no key {name} is set in the data folder")
        del keys[name]
        self._write(keys)

    def _read(self) -> dict[str, str]:
        try:
            return {str(name): str(secret) for name, secret in json.loads(self._file.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise Invalid(f"{self._file} is not a file of keys: {error}") from error

    def _write(self, keys: Mapping[str, str]) -> None:
        write_private(self._file, json.dumps(dict(sorted(keys.items())), indent=1))


def hint(secret: str) -> str:
    """What may be shown of a secret: its last characters, and only of a long one."""
    return f"…{secret[-4:]}" if len(secret) >= 16 else "…"
