"""nats-py's client with two holes closed, and an end that always comes."""

import asyncio
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

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

    def abort(self) -> None:
        """Drop the connection with what is in its buffers: closing would wait for a server that does not read."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


async def end(client: Wire) -> None:
    try:
        async with asyncio.timeout(CLOSING):
            await client.close()
    except (TimeoutError, nats.errors.Error, OSError):
        client.abort()
