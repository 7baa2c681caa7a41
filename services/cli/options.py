"""Options that several commands share, and how a command runs."""

import os
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from shlex import quote
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from services.cli.credentials import find_credentials, server_of
from services.cli.folder_options import DEFAULT_WORKSPACE, folder_options, said
from services.cli.hull import Hull
from services.kernel.calls import A, Endpoint, Q, operator
from services.kernel.errors import Invalid
from services.kernel.folder import LOG
from services.kernel.messages import workspace_id
from services.kernel.observe import LogFile, configure_logs
from services.kernel.settings import Settings, read_settings

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """What a command works with: the settings, and for whom it asks; ``data`` is what was said of the folder."""

    def __init__(self, settings: Settings, workspace: str | None = None, data: str | None = None) -> None:
        self.settings = settings
        self.data = data
        #: The workspace as it was named; a server knows which one it is where none was.
        self.named = workspace or ""
        self.workspace = workspace = workspace or DEFAULT_WORKSPACE
        self.caller = operator(workspace_id(workspace))
        self._told = False

    @property
    def where(self) -> str:
        """The workspace that is worked in, in words: of one that nobody named, a server knows what it is called."""
        known = self.named or not self.settings.server
        return f"the workspace {self.workspace}" if known else "your workspace"

    def open(self, *, works: bool = False, makes: bool = False) -> Hull:
        """The services, to look at what there is and to change it; with ``works`` their scans go on.

        ``makes``: a data folder that was named is made if need be; else one that is not there is a slip of the pen.
        """
        if self.settings.server:
            return self._open_remote(server_of(self.settings))
        if self.data is not None and not (works or makes or self.settings.folder.exists()):
            raise Invalid(f"there is no data folder {self.settings.folder}")
        self._tell_of_token()
        return Hull(self.settings, works=works)

    def _tell_of_token(self) -> None:
        """Say, once, that a token of the environment is of no use where no server is asked, and no folder was named."""
        if os.environ.get("MIRAGE_TOKEN") and self.data is None and not self._told:
            self._told = True
            said = (
                f"MIRAGE_TOKEN is not used: the data folder {self.settings.folder} is asked; for a server say --server"
            )
            click.echo(f"mirage: {said} or MIRAGE_SERVER", err=True)

    def ask(self, endpoint: Endpoint[Q, A], question: Q, *, makes: bool = False) -> A:
        """Ask one question of the services, and go; ``makes`` as in `open`."""

        async def work() -> A:
            async with self.open(makes=makes) as hull:
                return await hull.calls.ask(endpoint, question, self.caller)

        return run_async(work())

    def look_at_server(self) -> None:
        """See that a server may hear what lets in, and that there is something, before a person is asked for a secret.

        Raises:
            Invalid: it may not, or there is nothing.
        """
        if self.settings.server:
            find_credentials(server_of(self.settings), os.environ)

    def _open_remote(self, url: str) -> Hull:
        from services.cli.remote import RemoteHull

        return RemoteHull(self.settings, url, find_credentials(url, os.environ), self.named)

    def line(self, words: str) -> str:
        """The line that calls a command on the same data, to be copied."""
        data = f" --data {quote(self.data)}" if self.data else ""
        data += f" --server {quote(self.settings.server)}" if self.settings.server else ""
        workspace = f" --workspace {quote(self.workspace)}" if self.workspace != DEFAULT_WORKSPACE else ""
        return f"./mirage {words}{data}{workspace}"


def data_options(function: F) -> F:
    """Add ``--data``, ``--workspace`` and ``--log``; the command gets a `Session` first."""

    def run(**options: Any) -> Any:
        data, server, workspace, log = (said(name) for name in ("data", "server", "workspace", "log"))
        settings = read_settings({"data": data, "server": server, "log": log}, os.environ)
        if data and server:
            raise Invalid(f"either the data folder {data} is asked or the server {server}")
        if data and settings.server:
            click.echo(f"mirage: --data counts: the data folder {data} is asked, not {settings.server}", err=True)
            settings = replace(settings, server="")
        configure_logs(settings.log, None if log else LogFile(settings.folder / LOG))
        return function(Session(settings, workspace, data), **options)

    wrapped = update_wrapper(run, function)
    vars(wrapped).setdefault("__click_params__", []).extend(reversed(folder_options()))
    return wrapped  # type: ignore[return-value]


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work on uvloop and return what it returns: mostly the exit code."""
    import uvloop

    return uvloop.run(work)


def format_option(*formats: str) -> Callable[[F], F]:
    """Add ``--format``, of which the first is the default."""
    return click.option("--format", "form", type=click.Choice(formats), default=formats[0], show_default=True)


def progress_options(function: F) -> F:
    """Add ``--quiet`` and ``--json-progress`` to a command that follows a scan."""
    as_json = click.option("--json-progress", is_flag=True, help="Progress as JSON lines on stderr.")
    return click.option("--quiet", is_flag=True, help="No progress.")(as_json(function))
