"""Gives out a fleet's connection to NATS, and makes a new one, later each time, as soon as it is lost."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client

from services.kernel.bus.jetstream_link import Link
from services.kernel.bus.jetstream_wire import Wire, end
from services.kernel.errors import Denied, Incompatible, MirageError, Unavailable
from services.kernel.pauses import pauses
from services.kernel.server import Server

#: Older servers ignore what they do not know: several subjects of one consumer, above all.
OLDEST: Final = (2, 10)
#: Seconds for which a call waits for a connection that was just lost, and a handshake may take.
PATIENCE: Final = 3.0
HANDSHAKE: Final = 5

_log = structlog.get_logger(__name__)


def inbox_of(user: str) -> str:
    """Where a user hears answers, and nobody else does."""
    return f"_INBOX_{user}" if user else "_INBOX"


class Connection:
    """Gives out the connection there is, and makes a new one as soon as it is lost."""

    def __init__(self, server: Server, name: str, inbox: str) -> None:
        self.server = server
        self.made = 0
        self._name = name
        self._inbox = inbox or inbox_of(server.user)
        self._link: Link | None = None
        self._next: asyncio.Future[Link] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._away_since = 0.0
        self._trouble: MirageError | None = None
        self._closed = False

    @property
    def is_up(self) -> bool:
        return self._link is not None and not self._link.lost

    async def link(self) -> Link:
        """The connection; while there is none, wait for it a little.

        Raises:
            Unavailable: the server is away.
            Denied: it does not know the user or the password.
            Incompatible: it is too old.
        """
        if self._closed:
            raise Unavailable(f"the connection to {self.server} is closed")
        if self._link is not None and not self._link.lost:
            return self._link
        self._begin()
        assert self._next is not None
        try:
            async with asyncio.timeout(max(0.1, self._away_since + PATIENCE - monotonic())):
                return await asyncio.shield(self._next)
        except TimeoutError:
            raise self._trouble or Unavailable(f"{self.server} does not answer") from None

    def _begin(self) -> None:
        if self._connecting is not None and not self._connecting.done():
            return
        self._away_since = monotonic()
        self._trouble = None
        self._next = asyncio.get_running_loop().create_future()
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        for pause in pauses(first=0.05, longest=2.0):
            try:
                link = await self._dial()
            except MirageError as trouble:
                self._trouble = trouble
                if not isinstance(trouble, Unavailable):  # nobody need wait for this to pass
                    self._settle(trouble)
                await asyncio.sleep(pause)
                continue
            self.made += 1
            self._link = link
            link.tell(self._lose)
            self._settle(link)
            return

    def _settle(self, found: Link | MirageError) -> None:
        assert self._next is not None
        if isinstance(found, Link):
            self._next.set_result(found)
            return
        self._next.set_exception(found)
        self._next.exception()  # perhaps nobody waits
        self._next = asyncio.get_running_loop().create_future()

    def _lose(self, error: MirageError) -> None:
        if not self._closed:
            _log.warning("the bus is away", server=str(self.server), reason=str(error))
            self._begin()

    async def _dial(self) -> Link:
        context = self.server.context()
        client = Wire()
        client.wants_tls = self.server.tls
        link: Link | None = None
        heard: list[Exception] = []

        async def hear(error: Exception) -> None:
            if link is None:
                heard.append(error)
            else:
                await link.hear(error)

        async def ended() -> None:
            if link is not None:
                link.lose("closed the connection")

        try:
            await client.connect(
                [f"nats://{host}" for host in self.server.hosts],
                error_cb=hear, closed_cb=ended, name=self._name, allow_reconnect=False, max_reconnect_attempts=1,
                reconnect_time_wait=0, connect_timeout=HANDSHAKE, ping_interval=3600, inbox_prefix=self._inbox,
                # Without a limit of its own it never waits in a publish, where it would swallow a cancellation.
                pending_size=0,
                user=self.server.user or None, password=self.server.password if self.server.user else None,
                tls=context,
            )  # fmt: skip
            self._check_version(client)
            link = Link(client, self.server, self._inbox)
            await link.open()
        except BaseException as error:
            await end(client)
            if isinstance(error, (nats.errors.Error, OSError, TimeoutError)):
                raise self._why_not([*heard, error]) from error
            raise
        return link

    def _why_not(self, errors: Sequence[Exception]) -> MirageError:
        said = next((each for each in errors if not isinstance(each, nats.errors.NoServersError)), errors[-1])
        if "authorization violation" in str(said).lower():
            return Denied(f"{self.server} does not take the user {self.server.user!r} with this password")
        if isinstance(said, nats.errors.SecureConnWantedError):
            return Denied(f"{self.server} has no TLS, which is asked of it")
        return Unavailable(f"{self.server} cannot be reached: {str(said) or type(said).__name__}")

    def _check_version(self, client: Client) -> None:
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise Incompatible(f"{self.server} has version {version.major}.{version.minor}; {wanted} is needed")

    async def close(self) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._link is not None:
            link, self._link = self._link, None
            link.lose("is no longer needed")
            await link.ended()
