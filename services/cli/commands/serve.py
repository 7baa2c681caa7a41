"""`mirage serve`: services of a fleet in a process of their own, as Nomad runs them."""

import os
import socket
from uuid import uuid4

import click

from services.catalogue import SERVICES, load_service, load_services
from services.cli.options import run_async
from services.kernel.errors import Invalid
from services.kernel.listening import open_listener
from services.kernel.observe import configure_logs
from services.kernel.settings import Settings, read_settings
from services.kernel.version import VERSION


@click.command("serve")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen (127.0.0.1:8080; port 0 takes a free one).")
def command(names: tuple[str, ...], listen: str | None) -> int:
    """Serve services until SIGTERM; the environment says where their servers are."""
    settings = read_settings({"listen": listen}, os.environ)
    configure_logs(settings.log)
    for name in names:
        if name not in SERVICES:
            raise Invalid(f"there is no service {name}; there are {', '.join(SERVICES)}")
    return run_async(_serve(names, settings))


async def _serve(names: tuple[str, ...], settings: Settings) -> int:
    from services.kernel.process import serve
    from services.kernel.runtime import Place

    with open_listener(settings.listen) as listener:
        if not settings.peers:
            raise Invalid("nobody could ask this process, which knows no keys of others (MIRAGE_PEERS)")
        address = settings.advertise or _address(listener)
        meta = {"host": socket.gethostname(), "version": f"{VERSION}+{settings.revision}".rstrip("+")}
        place = Place(address, settings.instance or uuid4().hex, meta)
        await serve([load_service(name) for name in names], settings, listener, place, others=load_services())
    return 0


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
