"""`mirage migrate`: brings the databases of a fleet's services forward, before a new version of them starts."""

import os

import click

from services.catalogue import SERVICES, load_service
from services.cli.options import run_async
from services.kernel.errors import Invalid
from services.kernel.observe import configure_logs
from services.kernel.settings import Settings, read_settings


@click.command("migrate")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
def command(names: tuple[str, ...]) -> int:
    """Take the steps of services' schemas that their databases have not taken; waits for a database that is away."""
    settings = read_settings({}, os.environ)
    configure_logs(settings.log)
    for name in names:
        if name not in SERVICES:
            raise Invalid(f"there is no service {name}; there are {', '.join(SERVICES)}")
    return run_async(_migrate(names, settings))


async def _migrate(names: tuple[str, ...], settings: Settings) -> int:
    from services.kernel.runtime import migrate

    for name in names:
        await migrate(load_service(name), settings)
    return 0
