"""How a process is set up: flag over environment over file over default, read once at the start.

The environment variable of a field is ``MIRAGE_`` and its name in capitals; the file is TOML with the fields' names.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.kernel.errors import Invalid

PREFIX: Final = "MIRAGE_"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a process.

    ``data``: the data folder. ``resolvers``: ``address[:port]`` of recursive resolvers; the system's when empty.
    ``proxy``: ``http://host:port`` for passive sources. ``dial_table``: a file that maps every address that may be
    dialled (see `services.kernel.egress.dial`). ``ca_file``: certificates to trust instead of the system's.
    ``listen``: where HTTP is served. ``log``: the least level that is logged. ``user_agent``: how HTTP sources see us.
    """

    data: str = ""
    resolvers: tuple[str, ...] = ()
    proxy: str = ""
    dial_table: str = ""
    ca_file: str = ""
    listen: str = "127.0.0.1:8080"
    log: str = "info"
    user_agent: str = "Mirage/0.1 (+https://github.com/mirage-osint/mirage)"

    @property
    def folder(self) -> Path:
        """The data folder, by the XDG base directory specification when none is set."""
        if self.data:
            return Path(self.data).expanduser().absolute()
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "mirage"


def read_settings(flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None = None) -> Settings:
    """Merge the sources; `Invalid` names the one that is wrong."""
    merged: dict[str, Any] = _read_file(file or _default_file(environ))
    for name in Settings.__struct_fields__:
        text = environ.get(PREFIX + name.upper())
        if text:
            merged[name] = tuple(text.replace(",", " ").split()) if name == "resolvers" else text
    if not merged.get("ca_file") and environ.get("SSL_CERT_FILE"):
        merged["ca_file"] = environ["SSL_CERT_FILE"]
    if not merged.get("proxy"):
        merged["proxy"] = environ.get("HTTPS_PROXY") or environ.get("https_proxy") or ""
    merged.update({name: value for name, value in flags.items() if value not in (None, (), "")})
    try:
        return msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise Invalid(f"a setting is wrong: {error}") from error


def _default_file(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "mirage" / "config.toml"


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{file}: {error}") from error
