"""`mirage up`: the same services behind HTTP, in one process."""

import asyncio
import errno
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import click

from services.cli.following import interrupted
from services.cli.options import Session, data_options, run_async
from services.kernel.errors import Invalid, Unavailable
from services.kernel.runtime import Runtime

if TYPE_CHECKING:
    from uvicorn import Server

BACKLOG: Final = 1024
LAST_PORT: Final = 65_535


@click.command("up")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen (127.0.0.1:8080; port 0 takes a free one).")
@data_options
def command(session: Session, listen: str | None) -> int:
    """Serve everything over HTTP until Ctrl-C; the API's pages are at /api/docs."""
    return run_async(serve(session, listen or session.settings.listen))


async def serve(session: Session, listen: str) -> int:
    with listening(listen) as listener:
        async with session.open(works=True) as hull, interrupted() as interrupt:
            if hull.runtime is None:
                raise Unavailable("another process owns this data folder; end it first, or use another --data")
            server = http_server(hull.runtime, listen, session.workspace)
            serving = asyncio.create_task(server._serve([listener]))  # noqa: SLF001  `serve` would take the signals
            stopping = asyncio.create_task(interrupt.wait())
            try:
                address, port = listener.getsockname()[:2]
                click.echo(f"Mirage is up: http://localhost:{port}/api/docs (Ctrl-C ends it)", err=True)
                if not ip_address(address).is_loopback:
                    click.echo(
                        "mirage: nobody has to log in: whoever reaches this port can scan and set keys", err=True
                    )
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                server.should_exit = True
                stopping.cancel()
                await asyncio.gather(serving, stopping, return_exceptions=True)
            serving.result()
    return 0


def http_server(runtime: Runtime, listen: str, workspace: str) -> "Server":
    """The server for the doors of all services; it logs its errors alone."""
    import uvicorn

    from services.kernel.app import create_app, serve_hosts

    app = create_app(
        runtime.calls,
        [endpoint for service in runtime.services for endpoint in service.answers],
        hosts=serve_hosts(listen),
        prefix="/api",
        workspace=workspace,
        ready=runtime.ready,
    )
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=3)
    return uvicorn.Server(config)


def listening(listen: str) -> socket.socket:
    """A socket that listens at ``address:port``, had before anything else is started.

    Raises:
        Invalid: that is no address and port, or they cannot be had.
    """
    host, _, port = listen.rpartition(":")
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        number = int(port)
    except ValueError:
        raise Invalid(f"{listen} is not ADDRESS:PORT") from None
    listener = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), number))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            other = f"{host}:{number + 1 if number < LAST_PORT else 0}"
            raise Invalid(f"port {number} is taken at {host}: choose another one with --listen {other}") from error
        raise Invalid(f"nobody can listen at {listen}: {getattr(error, 'strerror', None) or error}") from error
    return listener
