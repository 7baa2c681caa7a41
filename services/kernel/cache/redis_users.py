"""Who may do what on the Redis server that services share: each its own keys, by the commands that the cache uses."""

import hashlib
import re
from typing import Final

from services.kernel.cache.redis_scripts import COMMANDS
from services.kernel.errors import Invalid
from services.kernel.server import Server

_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_USER: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def prefix_of(server: Server) -> str:
    """Return what the keys of a cache begin with: the path of its URL, or ``mirage``.

    Raises:
        Invalid: it has signs that patterns of keys give a meaning to.
    """
    prefix = server.path or "mirage"
    if not _PREFIX.fullmatch(prefix):
        raise Invalid(f"keys on {server} cannot begin with {prefix!r}")
    return prefix


def acl_line(server: Server) -> str:
    """Return the line of an ACL file of Redis for the user, password and prefix of a service's setting.

    Without its first two words it is what ``ACL SETUSER <name>`` takes. It holds the password's SHA-256 only.

    Raises:
        Invalid: the setting has no user or no password.
    """
    if not _USER.fullmatch(server.user) or not server.password:
        raise Invalid(f"a user on {server} needs a name of letters and digits, and a password")
    digest = hashlib.sha256(server.password.encode()).hexdigest()
    commands = " ".join(f"+{command}" for command in COMMANDS)
    return f"user {server.user} reset on #{digest} ~{prefix_of(server)}:* -@all {commands}"
