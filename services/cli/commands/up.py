"""`mirage up`: the same services behind HTTP, in one process."""

import asyncio
from typing import TYPE_CHECKING

import click

from services.cli.following import interrupted
from services.cli.options import Session, data_options, run_async
from services.kernel.errors import Invalid, Unavailable

if TYPE_CHECKING:
    import uvicorn


@click.command("up")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen (default 127.0.0.1:8080).")
@data_options
def command(session: Session, listen: str | None) -> int:
    """Serve everything over HTTP until Ctrl-C; the API's pages are at /api/docs."""
    return run_async(serve(session, listen or session.settings.listen))


async def serve(session: Session, listen: str) -> int:
    import uvicorn

    from services.kernel.app import create_app, serve_hosts

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise Invalid(f"{listen} is not ADDRESS:PORT")
    async with session.open() as hull:
        if hull.runtime is None:
            raise Unavailable("another process owns this data folder; end it first, or use another --data")
        local = hull.runtime.calls
        app = create_app(local, local.endpoints, hosts=serve_hosts(listen), prefix="/api")
        config = uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        async with interrupted() as interrupt:
            serving = asyncio.create_task(server._serve())  # noqa: SLF001  `serve` would take the signals
            failing = asyncio.create_task(hull.runtime.failure())
            stopping = asyncio.create_task(interrupt.wait())
            await _started(server, serving)
            if not serving.done():
                click.echo(f"Mirage is up: http://localhost:{port}/api/docs (Ctrl-C ends it)", err=True)
            await asyncio.wait({serving, failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            failing.cancel()
            stopping.cancel()
            results = await asyncio.gather(serving, failing, stopping, return_exceptions=True)
    return 1 if any(isinstance(result, Exception) for result in results) or not server.started else 0


async def _started(server: "uvicorn.Server", serving: "asyncio.Task[None]") -> None:
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
