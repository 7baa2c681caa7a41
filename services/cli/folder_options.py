"""The options about the data folder, which are taken before the name of a command and after it."""

from typing import Any, Final

import click

DEFAULT_WORKSPACE: Final = "default"
PLACE: Final = __name__


def _remember(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    if value == "":
        raise click.BadParameter("it is empty", ctx, option)
    if value is not None:
        ctx.meta[f"{PLACE}.{option.name}"] = value


SAID: Final[dict[str, Any]] = {"expose_value": False, "callback": _remember}


def folder_options() -> list[click.Option]:
    """What is said last counts, before a command's name or after it."""
    return [
        click.Option(
            ["--data"], metavar="DIR", help="The data folder (MIRAGE_DATA; else by the XDG convention).", **SAID
        ),
        click.Option(
            ["--server"],
            metavar="URL",
            help="Ask the fleet at this address (MIRAGE_SERVER), not a data folder.",
            **SAID,
        ),
        click.Option(
            ["--workspace"],
            metavar="NAME",
            help=f"The workspace to work in ({DEFAULT_WORKSPACE}; at a server, that of the session).",
            **SAID,
        ),
        click.Option(
            ["--log"],
            metavar="LEVEL",
            help="Log to stderr from this level on; else from info on to mirage.log in the data folder.",
            **SAID,
        ),
    ]


def said(name: str) -> str | None:
    """What was said of one of these options, if anything, in the command that runs."""
    value: str | None = click.get_current_context().meta.get(f"{PLACE}.{name}")
    return value


class GroupOnData(click.Group):
    """A group of commands that takes the options about the data folder before their names, too."""

    def __init__(self, *arguments: Any, **extra: Any) -> None:
        super().__init__(*arguments, **extra)
        self.params += folder_options()
