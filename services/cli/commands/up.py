"""`mirage up`: the same services behind HTTP, in one process."""

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from services.cli.following import interrupted
from services.cli.options import Session, data_options, run_async
from services.kernel.errors import Unavailable
from services.kernel.listening import open_listener
from services.kernel.runtime import Runtime

if TYPE_CHECKING:
    from uvicorn import Server


@click.command("up")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen (127.0.0.1:8080; port 0 takes a free one).")
@data_options
def command(session: Session, listen: str | None) -> int:
    """Serve everything over HTTP until Ctrl-C; the API's pages are at /api/docs."""
    return run_async(serve(session, listen or session.settings.listen))


async def serve(session: Session, listen: str) -> int:
    with open_listener(listen) as listener:
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
