"""Options that several commands share, and how a command runs."""

import os
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Final, TypeVar

import click

from services.cli.hull import Hull
from services.kernel.calls import Caller
from services.kernel.messages import workspace_id
from services.kernel.observe import LogFile, configure_logs
from services.kernel.settings import Settings, read_settings

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_WORKSPACE: Final = "default"


class Session:
    """What a command works with: the settings, and for whom it asks."""

    def __init__(self, settings: Settings, workspace: str) -> None:
        self.settings = settings
        self.workspace = workspace
        self.caller = Caller(workspace=workspace_id(workspace))

    def open(self) -> Hull:
        return Hull(self.settings)


def data_options(function: F) -> F:
    """Add ``--data`` and ``--workspace``; the command gets a `Session` first."""

    def run(*, data: str | None, workspace: str, log: str | None, **options: Any) -> Any:
        settings = read_settings({"data": data, "log": log}, os.environ)
        configure_logs(settings.log, None if log else LogFile(settings.folder / "mirage.log"))
        return function(Session(settings, workspace), **options)

    wrapped = update_wrapper(run, function)
    for option in (
        click.option(
            "--log",
            metavar="LEVEL",
            help="Log to stderr from this level on; else from info on to mirage.log in the data folder.",
        ),
        click.option("--workspace", default=DEFAULT_WORKSPACE, metavar="NAME", help="The workspace to work in."),
        click.option("--data", metavar="DIR", help="The data folder (MIRAGE_DATA; else by the XDG convention)."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def run_async(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's work on uvloop and return its exit code."""
    import uvloop

    return uvloop.run(work)


def format_option(*formats: str) -> Callable[[F], F]:
    """Add ``--format``, of which the first is the default."""
    return click.option("--format", "form", type=click.Choice(formats), default=formats[0], show_default=True)
