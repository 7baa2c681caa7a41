"""`mirage settings`: what is set of services while they run."""

from typing import Any

import click
import msgspec

from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option
from services.cli.text import clean, moment, write_json, write_table
from services.contracts.endpoints import CHANGE_SETTINGS, GET_SETTINGS, LIST_SETTINGS, LIST_SETTINGS_CHANGES
from services.contracts.resources import ChangeSettings, SettingsRef, SettingsView
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid


@click.group("settings", cls=GroupOnData)
def command() -> None:
    """List, show and change what is set of services while they run."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_settings(session: Session, form: str) -> int:
    """List what is set of every service."""
    views = session.ask(LIST_SETTINGS, Nothing(), makes=True)
    return write_settings(views, form)


@command.command("show")
@click.argument("service")
@format_option("table", "json")
@data_options
def show(session: Session, service: str, form: str) -> int:
    """Show what is set of SERVICE."""
    view = session.ask(GET_SETTINGS, SettingsRef(service), makes=True)
    return write_settings((view,), form)


@command.command("history")
@click.argument("service")
@format_option("table", "json")
@data_options
def history(session: Session, service: str, form: str) -> int:
    """Show how SERVICE was set before, the newest first."""
    views = session.ask(LIST_SETTINGS_CHANGES, SettingsRef(service), makes=True)
    return write_settings(views, form)


@command.command("set")
@click.argument("service")
@click.argument("changes", metavar="NAME=VALUE…", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; it is kept with the change.")
@data_options
def set_settings(session: Session, service: str, changes: tuple[str, ...], reason: str) -> int:
    """Change values of SERVICE; a VALUE is JSON or a word, and nothing at all goes back to the default."""
    change = ChangeSettings(service=service, values=read_values(changes), reason=reason)
    view = session.ask(CHANGE_SETTINGS, change, makes=True)
    return write_settings((view,), "table")


def read_values(changes: tuple[str, ...]) -> dict[str, Any]:
    """What is to be set by texts NAME=VALUE; None goes back to the default.

    Raises:
        Invalid: one of them is none.
    """
    return dict(map(_value, changes))


def _value(change: str) -> tuple[str, Any]:
    name, found, text = change.partition("=")
    if not found or not name:
        raise Invalid(f"{change} is not NAME=VALUE")
    if not text:
        return name, None
    try:
        return name, msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return name, text


def write_settings(views: tuple[SettingsView, ...], form: str) -> int:
    if form == "json":
        write_json(views)
        return 0
    write_table(
        ("service", "version", "values", "changed (UTC)", "by", "reason"), map(_row, views), none="Nothing was set."
    )
    return 0


def _row(view: SettingsView) -> tuple[str, ...]:
    values = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in view.values.items())
    return (view.service, str(view.version), values, moment(view.at), view.by, clean(view.reason))
