"""The command line's entry: commands are imported when they are called, so that help is instant."""

import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from services.cli.examples import show_examples
from services.cli.folder_options import GroupOnData
from services.cli.output import ClosedPipe, replace_closed_streams, written
from services.kernel.errors import MirageError, meaning
from services.kernel.version import VERSION

#: Every command, the module in `services.cli.commands` that has it, and what it does.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo", "Scan the lab's organisation: no network, nothing to set up."),
    "scan": ("scan", "Scan targets."),
    "scans": ("scans", "List, show, watch, stop, pause, resume, retry and delete scans."),
    "export": ("export", "Export a scan."),
    "report": ("report", "Make a report of a scan to hand on; list, show, delete those made."),
    "verify": ("verify", "Check the bundle of a report, without asking anybody."),
    "show": ("show", "Show an entity: attributes, relations, who said so."),
    "as-of": ("as_of", "Show or export what was known at an instant."),
    "why-not": ("why_not", "Say why a scan does not report a name."),
    "findings": ("findings", "Show what is wrong, or worth a look, in what a scan found."),
    "judge": ("judge", "Say where you stand with a finding: confirmed, false positive, accepted."),
    "rules": ("rules", "What findings are made by, and why they are."),
    "suppress": ("suppress", "Put findings aside, with a reason and an end."),
    "risks": ("risks", "Show how exposed things are by what was found."),
    "graph": ("graph", "How things that a scan found hang together."),
    "diff": ("diff", "Compare two scans, or two instants."),
    "evidence": ("evidence", "Show the bytes behind a claim, or verify a scan."),
    "retract": ("retract", "Withdraw claims with a reason, list what is withdrawn, restore it."),
    "policy": ("policy", "How reliable sources are held to be: show, set, reset."),
    "identity": ("identity", "What may be one and the same: list, show, accept, reject, split."),
    "replay": ("replay", "Run the modules again on the recorded evidence."),
    "modules": ("modules", "List, show, set, check and lock modules."),
    "keys": ("keys", "Set, list and remove provider keys."),
    "settings": ("settings", "List, show and change what is set of services while they run."),
    "login": ("login", "Log in at a server, or make the account to which you are entitled."),
    "logout": ("logout", "End the session at a server."),
    "whoami": ("whoami", "Say as whom you ask, where, and until when."),
    "account": ("account", "Who you are at a server: name, password, authenticator."),
    "operators": ("operators", "Who looks after an installation."),
    "sessions": ("sessions", "List and end your sessions at a server."),
    "tokens": ("tokens", "Make, list and end tokens for scripts."),
    "workspaces": ("workspaces", "List, make and enter workspaces at a server."),
    "members": ("members", "List, invite, change and remove the people of a workspace."),
    "audit": ("audit", "Search, export and verify who did what."),
    "up": ("up", "Serve everything over HTTP from this process."),
    "fleet": ("fleet", "A whole fleet on this machine: up, status, scale, restart, logs, down."),
    "serve": ("serve", "Serve one service of a fleet."),
    "migrate": ("migrate", "Bring the database of a service of a fleet forward."),
    "backup": ("backup", "Write a consistent copy of the data folder to a file."),
    "restore": ("restore", "Make a data folder from a backup."),
    "retention": ("retention", "Delete scans that are old enough, but for the newest of each target."),
    "doctor": ("doctor", "Check this installation and its data folder."),
    "dead": ("dead", "List, show, retry and drop messages that could not be taken in."),
    "new": ("new", "Make a module or a service, with its tests."),
    "render": ("render", "Write, or check, what is rendered from declarations."),
    "test": ("test", "Run the tests, or the benchmarks."),
}


class Commands(GroupOnData):
    """A group whose commands are found by name."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with written():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with written():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = import_module(f"services.cli.commands.{module}").command
        show_examples(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            raise click.UsageError(f"there is no command {args[0]}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="mirage")
def cli() -> None:
    """Collect what can be openly known about an organisation, with the bytes that prove it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit as `errors.MEANING` says; every failure is one sentence."""
    replace_closed_streams()
    try:
        code: Any = cli.main(args=arguments, prog_name="mirage", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"mirage: {refusal(error)}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except MirageError as error:
        click.echo(f"mirage: {error}", err=True)
        sys.exit(meaning(error).exit)
    except ClosedPipe:
        sys.exit(128 + signal.SIGPIPE)
    sys.exit(code if isinstance(code, int) else 0)


def refusal(error: click.ClickException) -> str:
    """What click has against a call, as one sentence in the way of ours, and where the right use is told."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    said = re.sub(r"\. \(?Did (.*?)\)?$", r"; did \1", said[:1].lower() + said[1:])
    context = getattr(error, "ctx", None)
    return said if context is None else f"{said} (see: {context.command_path} --help)"
