"""`mirage settings`: what is set of services while they run."""

from typing import Any

import click
import msgspec

from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, instant, write_json, write_table
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

    async def work() -> int:
        async with session.open(makes=True) as hull:
            views = await hull.calls.ask(LIST_SETTINGS, Nothing(), session.caller)
        return _write(views, form)

    return run_async(work())


@command.command("show")
@click.argument("service")
@format_option("table", "json")
@data_options
def show(session: Session, service: str, form: str) -> int:
    """Show what is set of SERVICE."""

    async def work() -> int:
        async with session.open(makes=True) as hull:
            view = await hull.calls.ask(GET_SETTINGS, SettingsRef(service), session.caller)
        return _write((view,), form)

    return run_async(work())


@command.command("history")
@click.argument("service")
@format_option("table", "json")
@data_options
def history(session: Session, service: str, form: str) -> int:
    """Show how SERVICE was set before, the newest first."""

    async def work() -> int:
        async with session.open(makes=True) as hull:
            views = await hull.calls.ask(LIST_SETTINGS_CHANGES, SettingsRef(service), session.caller)
        return _write(views, form)

    return run_async(work())


@command.command("set")
@click.argument("service")
@click.argument("changes", metavar="NAME=VALUE…", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; it is kept with the change.")
@data_options
def set_settings(session: Session, service: str, changes: tuple[str, ...], reason: str) -> int:
    """Change values of SERVICE; a VALUE is JSON or a word, and nothing at all goes back to the default."""
    values = dict(_value(change) for change in changes)

    async def work() -> int:
        async with session.open(makes=True) as hull:
            change = ChangeSettings(service=service, values=values, reason=reason)
            view = await hull.calls.ask(CHANGE_SETTINGS, change, session.caller)
        return _write((view,), "table")

    return run_async(work())


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


def _write(views: tuple[SettingsView, ...], form: str) -> int:
    if form == "json":
        write_json(views)
        return 0
    write_table(("service", "version", "values", "changed", "by", "reason"), map(_row, views))
    return 0


def _row(view: SettingsView) -> tuple[str, ...]:
    values = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in view.values.items())
    return (view.service, str(view.version), values, instant(view.at), view.by, clean(view.reason))
