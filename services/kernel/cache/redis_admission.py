"""Whom a Redis server lets in that runs already: it reads its ACL file at its start only."""

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.kernel.cache.redis import meant, pool_of
from services.kernel.server import Server


async def provide_users(server: Server, lines: Sequence[str]) -> None:
    """Have the users of a server be those of an ACL file with these lines, and no others; ``server`` names who may.

    A connection of a user that stays is kept, one of a user that goes is cut off.

    Raises:
        Invalid: a line is none of an ACL file.
        Unavailable: the server is away.
        Denied: that user may not.
    """
    users = [line.split()[1:] for line in lines]
    pool = pool_of(server, 1)
    client: Redis = Redis(connection_pool=pool)
    try:
        for user in users:
            await client.execute_command("ACL", "SETUSER", *user)  # type: ignore[no-untyped-call]
        found: list[bytes] = await client.execute_command("ACL", "USERS")  # type: ignore[no-untyped-call]
        if gone := sorted({name.decode() for name in found} - {name for name, *_ in users}):
            await client.execute_command("ACL", "DELUSER", *gone)  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        raise meant(error, server) from None
    finally:
        await pool.aclose()
