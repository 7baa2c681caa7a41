"""nats-py's client with its holes closed, and an end that always comes."""

import asyncio
from contextlib import suppress
from typing import Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

CLOSING: Final = 2.0


class Wire(Client):
    """A connection of nats-py."""

    wants_tls = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # It would send the password in the clear to whoever says that it has no TLS.
        if initial_connection and self.wants_tls and not info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        await super()._process_info(info, initial_connection)

    async def _process_pong(self) -> None:
        # A ping that was given up is still in its list, and the answer to it would end the reading.
        self._pongs = [future for future in self._pongs if not future.done()]
        if self._pongs:
            await super()._process_pong()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        # It would write what is left to a connection that broke, and stop half-way through the closing when that fails.
        self._pending.clear()
        self._pending_data_size = 0
        await super()._close(status, do_cbs)

    async def write_out(self) -> None:
        """Write what waits to be written, and wait until the system has it."""
        if self.is_connected and self._transport is not None:
            self._transport.writelines(self._pending[:])
            self._pending.clear()
            self._pending_data_size = 0
            await self._transport.drain()  # type: ignore[no-untyped-call]

    async def mute(self, subscription: Subscription) -> None:
        """Let nothing more be sent to a subscription, and take what still comes.

        nats-py's own `drain` sends its ping ahead of this, and so misses what was sent in between.
        """
        await self._send_unsubscribe(subscription._id)  # noqa: SLF001  its public `unsubscribe` forgets it at once

    def abort(self) -> None:
        """Drop the connection with what is in its buffers: closing would wait for a server that does not read."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


async def end(client: Wire) -> None:
    """Write what waits and close; drop what a server does not take in time."""
    try:
        async with asyncio.timeout(CLOSING):
            with suppress(OSError, nats.errors.Error):
                await client.write_out()
            await client.close()
    except (TimeoutError, nats.errors.Error, OSError):
        client.abort()
