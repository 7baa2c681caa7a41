"""How this user is let in at servers: by a session or a token, in a file of the configuration folder for him alone."""

import asyncio
import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from services.cli.text import clean
from services.contracts.resources import LoggedIn
from services.kernel.errors import Invalid, NotFound, Unauthenticated
from services.kernel.folder import write_private
from services.kernel.server import masked
from services.kernel.settings import Settings, config_folder

FILE: Final = "servers.json"
#: Seconds before its end from which on an access token is not used any more.
SPARE: Final = 30.0

#: Gets the next pair of tokens: by a refresh token, for a workspace by its name.
Refresh = Callable[[str, str], Awaitable[LoggedIn]]


class Access(Struct, frozen=True):
    token: str
    expires: float


class Kept(Struct, frozen=True, omit_defaults=True):
    """What is kept of a server: a ``token`` for scripts, or a session, whose access tokens are by their workspaces.

    ``workspace`` is where is worked where nobody names one.
    """

    token: str = ""
    refresh: str = ""
    email: str = ""
    workspace: str = ""
    access: Mapping[str, Access] = {}

    def __repr__(self) -> str:
        return "Kept(***)"


class Credentials(ABC):
    """What lets in at one server."""

    @abstractmethod
    async def bearer(self, workspace: str, refresh: Refresh, *, instead_of: str = "") -> str:
        """A token for a workspace, another one than ``instead_of``, which was refused.

        Raises:
            Unauthenticated: there is none any more.
        """


class Token(Credentials):
    """One that stays what it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def bearer(self, workspace: str, refresh: Refresh, *, instead_of: str = "") -> str:
        if instead_of:
            raise Unauthenticated("the token lets nobody in any more")
        return self._token


class LoggedInHere(Credentials):
    """The session that this user has at a server; processes beside each other refresh it one after the other."""

    def __init__(self, server: str, environ: Mapping[str, str]) -> None:
        self._server = server
        self._file = config_folder(environ) / FILE

    async def bearer(self, workspace: str, refresh: Refresh, *, instead_of: str = "") -> str:
        if token := self._good(workspace, instead_of):
            return token
        async with _alone(self._file):
            if token := self._good(workspace, instead_of):
                return token
            kept = _read(self._file).get(self._server, Kept())
            if not kept.refresh:
                raise Unauthenticated(log_in_first(self._server))
            try:
                given = await _next(kept, workspace, refresh)
            except Unauthenticated as error:
                _write(self._file, self._server, None)
                raise Unauthenticated(f"{error}: mirage login --server {self._server}") from error
            after = session_of(given, workspace, kept)
            _write(self._file, self._server, after)
        if kept.workspace not in {"", after.workspace}:
            where = f"in {after.workspace}" if after.workspace else "in no workspace"
            said = (
                f"you belong to {clean(kept.workspace)} no more: this is done {where}, unless --workspace says another"
            )
            click.echo(f"mirage: {said}", err=True)
        return given.access

    def _good(self, workspace: str, instead_of: str) -> str:
        kept = _read(self._file).get(self._server, Kept())
        access = kept.access.get(workspace)
        good = access is not None and access.token != instead_of and access.expires - SPARE > time.time()
        return access.token if good and access is not None else ""


async def _next(kept: Kept, workspace: str, refresh: Refresh) -> LoggedIn:
    """The next pair of tokens; where no workspace is named in the one that is kept, as long as that is his."""
    try:
        return await refresh(kept.refresh, workspace or kept.workspace)
    except NotFound:
        if workspace or not kept.workspace:
            raise
        return await refresh(kept.refresh, "")


def session_of(given: LoggedIn, workspace: str, before: Kept | None = None) -> Kept:
    """What is kept of a session as it is now; ``workspace`` as it was named, which may be nothing."""
    access = {**(before.access if before is not None else {}), workspace: Access(given.access, given.expires / 1e6)}
    still = {name: each for name, each in access.items() if each.expires > time.time()}
    usual = given.workspace_name if not workspace else before.workspace if before is not None else ""
    return Kept(refresh=given.refresh, email=given.email, workspace=usual, access=still)


def server_of(settings: Settings, usual: str = "") -> str:
    """The address of the server that is asked, which hears what lets in.

    Raises:
        Invalid: it is none, or whoever is between could read that, too.
    """
    url = server_url(settings.server or usual)
    host = overheard_at(url)
    if host and host not in map(str.lower, settings.plain_http):
        raise Invalid(
            f"{url} would be told passwords and tokens without encryption: say https://, or MIRAGE_PLAIN_HTTP={host}"
            " if nobody else is on the way there"
        )
    return url


def overheard_at(url: str) -> str:
    """The host of a server that is asked without encryption and is not this machine; else nothing."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        here = False
    return "" if here or parts.scheme == "https" else host


def server_url(text: str) -> str:
    """The address of a server as credentials are kept under it.

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


def log_in_first(server: str) -> str:
    return f"you are not logged in at {server}: mirage login --server {server}"


def token_of(text: str) -> str:
    """A token as it is sent.

    Raises:
        Invalid: it can be none; it is not quoted.
    """
    token = text.strip()
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        raise Invalid("that is no token: it is one word of letters, digits and signs")
    return token


def find_credentials(server: str, environ: Mapping[str, str]) -> Credentials:
    """What lets in at a server: the token of the environment, else what is kept.

    Raises:
        Invalid: there is nothing.
    """
    if token := environ.get("MIRAGE_TOKEN"):
        return Token(token_of(token))
    kept = _read(config_folder(environ) / FILE).get(server)
    if kept is None:
        raise Invalid(f"{log_in_first(server)}, or set MIRAGE_TOKEN to a token")
    return Token(kept.token) if kept.token else LoggedInHere(server, environ)


async def see_that_it_can_be_kept(environ: Mapping[str, str]) -> None:
    """Raise `Invalid` unless credentials can be kept: before a code is used up for nothing."""
    file = config_folder(environ) / FILE
    async with _alone(file):
        _read(file)


async def keep_credentials(server: str, kept: Kept | None, environ: Mapping[str, str]) -> Kept | None:
    """Keep what lets in at a server from now on, or nothing; return what was kept."""
    file = config_folder(environ) / FILE
    async with _alone(file):
        before = _read(file).get(server)
        _write(file, server, kept)
    return before


async def keep_workspace(server: str, workspace: str, environ: Mapping[str, str]) -> bool:
    """Have what nobody names a workspace for be done in this one from now on; whether there is a session for that."""
    file = config_folder(environ) / FILE
    async with _alone(file):
        kept = _read(file).get(server, Kept())
        if kept.refresh:
            others = {name: each for name, each in kept.access.items() if name}
            _write(file, server, replace(kept, workspace=workspace, access=others))
    return bool(kept.refresh)


@asynccontextmanager
async def _alone(file: Path) -> AsyncIterator[None]:
    """Be the only process that changes the file, whose folder is made where there is none."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Invalid(f"nothing can be kept in {file.parent}: {error.strerror}") from None
    try:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(file: Path) -> dict[str, Kept]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Kept])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{file} is not a file of servers: remove it, and log in again ({error})") from None


def _write(file: Path, server: str, kept: Kept | None) -> None:
    others = {name: each for name, each in _read(file).items() if name != server}
    content = {**others, **({server: kept} if kept is not None else {})}
    write_private(file, msgspec.json.format(msgspec.json.encode(content)).decode())
