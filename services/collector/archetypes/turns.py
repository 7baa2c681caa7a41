"""Work that takes long because a source makes it long, and that others shall not wait for."""

import asyncio


async def give_way() -> None:
    """Let everything else that is due have its turn."""
    await asyncio.sleep(0)
