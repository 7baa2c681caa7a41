"""The tokens of servers, by their addresses: a file of the configuration folder that only its user reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from services.kernel.errors import Invalid
from services.kernel.folder import write_private
from services.kernel.server import masked
from services.kernel.settings import config_folder

FILE: Final = "servers.json"


def server_url(text: str) -> str:
    """The address of a server as tokens are kept under it.

    Raises:
        Invalid: it is none.
    """
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        bare = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise Invalid(f"{masked(text)} is not the address of a server, as http://localhost:8080 is")
    return url


def find_token(server: str, environ: Mapping[str, str]) -> str:
    """The token for a server: of the environment, else of the file.

    Raises:
        Invalid: there is none.
    """
    token = environ.get("MIRAGE_TOKEN") or _read(config_folder(environ) / FILE).get(server)
    if not token:
        raise Invalid(f"there is no token for {server}: set MIRAGE_TOKEN to the one that `mirage fleet up` made")
    return token


def keep_token(server: str, token: str, environ: Mapping[str, str]) -> None:
    """Keep a token for later calls."""
    file = config_folder(environ) / FILE
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = _read(file)
    if kept.get(server) != token:
        write_private(file, json.dumps({**kept, server: token}, indent=1))


def _read(file: Path) -> dict[str, str]:
    try:
        return {str(server): str(token) for server, token in json.loads(file.read_text("utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise Invalid(f"{file} is not a file of tokens: {error}") from error
