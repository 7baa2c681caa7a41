"""Every command of the command line takes what it declares."""

import inspect
import re
import shlex
from collections.abc import Iterator

import click
import pytest

from services.cli.examples import EXAMPLES
from services.cli.main import COMMANDS, Commands
from tests.cli.conftest import Mirage


def declared(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """`command` and all below it, each with the words that call it."""
    if isinstance(command, click.Group):
        for child, below in command.commands.items():
            yield from declared(below, f"{name} {child}")
    if command.callback is not None:
        yield name, command


def every_command() -> Iterator[tuple[str, click.Command]]:
    commands = Commands()
    with click.Context(commands) as context:
        for name in COMMANDS:
            command = commands.get_command(context, name)
            assert command is not None
            yield from declared(command, name)


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in every_command()])
def test_the_function_of_a_command_takes_exactly_its_parameters(name: str, command: click.Command) -> None:
    assert command.callback is not None
    parameters = inspect.signature(inspect.unwrap(command.callback)).parameters
    taken = {name for name, each in parameters.items() if each.kind is not inspect.Parameter.VAR_KEYWORD}
    given = {parameter.name for parameter in command.params if parameter.expose_value}
    if "session" in taken:  # what `data_options` makes of the options about the data folder
        taken, given = taken - {"session"}, given - {"data", "workspace", "log"}
    assert taken == given or (taken < given and len(taken) < len(parameters))


def test_every_command_that_follows_a_scan_can_be_quiet_or_be_read_by_a_program() -> None:
    options = {name: {parameter.name for parameter in command.params} for name, command in every_command()}
    followers = {name for name, taken in options.items() if taken & {"quiet", "json_progress"}}
    assert followers == {"scan", "demo", "scans watch", "scans resume", "scans retry"}
    assert all(options[name] >= {"quiet", "json_progress"} for name in followers)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("scna", "scan"), ("scans lst", "list"), ("sessions ends", "end"), ("fleet statuss", "status"),
        ("new modul", "module"), ("fleet dead lst", "list"),
    ],
)  # fmt: skip
def test_who_mistypes_a_command_is_told_the_nearest_one(mirage: Mirage, words: str, meant: str) -> None:
    status, _, told = mirage(*words.split())
    assert status == 2
    assert re.search(rf"; did you mean '?{meant}'?\?", told)


def leaves() -> set[str]:
    return {name for name, command in every_command() if not isinstance(command, click.Group)}


def test_the_help_of_every_command_ends_with_an_example() -> None:
    assert EXAMPLES.keys() == leaves()
    commands = dict(every_command())
    for name, line in EXAMPLES.items():
        assert line.startswith(f"mirage {name}")
        with click.Context(commands[name], info_name=name) as context:
            assert f"Example:\n    ./{line}" in context.get_help()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_call_that_is_understood(name: str) -> None:
    command, words = dict(every_command())[name], shlex.split(EXAMPLES[name])[1 + len(name.split()) :]
    command.make_context(name, words)
