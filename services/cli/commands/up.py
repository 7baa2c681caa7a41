"""`mirage up`: the same services behind HTTP, in one process."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from services.cli.first_account import told_of_code
from services.cli.following import interrupted
from services.cli.hull import Hull
from services.cli.options import Session, data_options, run_async
from services.contracts.endpoints import OFFER_FIRST_ACCOUNT
from services.contracts.settings import GatewaySettings
from services.gateway.usecases.identities import Identities
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import Nothing
from services.kernel.errors import Unavailable
from services.kernel.listening import open_listener
from services.kernel.live import Live
from services.kernel.parts import as_long_as_it_takes
from services.kernel.runtime import Runtime

if TYPE_CHECKING:
    from litestar import Litestar


PREFIX: Final = "/api"
#: Seconds for what is being answered when it is to end.
ANSWERING: Final = 3.0


@click.command("up")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen (127.0.0.1:8080; port 0 takes a free one).")
@data_options
def command(session: Session, listen: str | None) -> int:
    """Serve everything over HTTP until Ctrl-C; the API's pages are at /api/docs.

    A server that is named elsewhere (MIRAGE_SERVER) is not asked for that.
    """
    return run_async(serve(session, listen or session.settings.listen))


async def serve(session: Session, listen: str) -> int:
    from services.gateway.usecases.proxies import Proxied, trusted_by
    from services.kernel.http_limits import Limits
    from services.kernel.http_server import HttpServer

    trusted = trusted_by(session.settings)
    with open_listener(listen) as listener:
        async with Hull(session.settings, works=True) as hull, interrupted() as interrupt:
            if hull.runtime is None:
                raise Unavailable("another process owns this data folder; end it first, or use another --data")
            identities = Identities(hull.runtime.calls)
            settings = Live("gateway", GatewaySettings)
            follow = partial(identities.follow, hull.runtime.bus)
            set_anew = partial(settings.follow, hull.runtime.ports["configuration"].values, logs=False)
            following = [
                asyncio.create_task(as_long_as_it_takes("gateway", each, (Unavailable,))) for each in (follow, set_anew)
            ]
            app = application(hull.runtime, listen, identities, lambda: settings.now)
            server = HttpServer(Proxied(app, trusted), listener, Limits())
            serving = server.begin()
            stopping = asyncio.create_task(interrupt.wait())
            try:
                url = f"http://localhost:{listener.getsockname()[1]}"
                click.echo(f"Mirage is up: {url}/api/docs (Ctrl-C ends it)", err=True)
                offered = await hull.calls.ask(OFFER_FIRST_ACCOUNT, Nothing(), session.caller)
                click.echo(told_of_code(offered.code, url), err=True)
                await asyncio.wait({serving, stopping, *following}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (stopping, *following):
                    task.cancel()
                await server.close(ANSWERING)
                await asyncio.gather(stopping, *following, return_exceptions=True)
            serving.result()
    return 0


def application(
    runtime: Runtime,
    listen: str,
    identities: Identities,
    settings: Callable[[], GatewaySettings] = GatewaySettings,
) -> "Litestar":
    """The doors of all services, for who may ask them, as often as ``settings`` says."""
    from services.gateway.usecases.front import Front
    from services.gateway.usecases.idempotency import IN_PROCESS, KeptAnswers
    from services.gateway.usecases.rate_limits import RateLimiter
    from services.kernel.app import create_app, serve_hosts

    # A cache for answers alone: nothing else that is kept has them forgotten.
    answers = KeptAnswers(MemoryCache(), os.urandom(32), IN_PROCESS)
    front = Front(identities, RateLimiter(MemoryCache(), settings), answers, PREFIX)
    return create_app(
        runtime.calls,
        [endpoint for service in runtime.services for endpoint in service.answers],
        hosts=serve_hosts(listen),
        prefix=PREFIX,
        identify=front.identify,
        watched=identities.watched,
        ready=runtime.ready,
        before=front.before,
        public=True,
    )
