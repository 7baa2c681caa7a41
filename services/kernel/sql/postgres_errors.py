"""What PostgreSQL and its driver raise, as Mirage's own errors: they name the server, never a value or a password."""

import re
from typing import Final

import asyncpg

from services.kernel.errors import Conflict, Corrupt, Denied, Exhausted, Invalid, MirageError, Unavailable


class Locked(Unavailable):
    """Others hold what is wanted, and longer than one may wait."""


class Outdated(Unavailable):
    """A prepared statement was overtaken by a change of the schema; the next try prepares it anew."""


#: What the driver raises, and what the network does.
FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

#: By the whole SQLSTATE, else by its class (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_MEANING: Final[dict[str, type[MirageError]]] = {
    "08": Unavailable,  # the connection
    "23": Conflict,
    "25P02": Conflict,  # in a transaction that failed
    "25P03": Unavailable,  # idle for too long
    "28": Denied,
    "3D": Unavailable,  # no such database: it may still be made
    "40": Unavailable,  # deadlocks and serialization: a retry helps
    "42501": Denied,
    "53": Unavailable,
    "53100": Exhausted,
    "53400": Exhausted,
    "55": Unavailable,
    "55P03": Locked,
    "57": Unavailable,  # stopped, cancelled, starting, shutting down
    "58": Unavailable,
    "58P01": Corrupt,
    "58P02": Corrupt,
    "XX001": Corrupt,
    "XX002": Corrupt,
}
_READ_ONLY: Final = "25006"
_NOT_UTF8: Final = "22021"
_PLACE: Final = re.compile(r"invalid input for query argument \$(\d+)")


def translate(error: Exception, server: str, *, reads: bool = False) -> MirageError:
    """Say one of Mirage's errors for one of `FAILURES`; ``reads``: it was in a view that only reads."""
    if place := _PLACE.search(str(error.args[0] if error.args else "")):
        return Invalid(f"{server}: value {place[1]} of a statement has no form in the type that its place has")
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        if code == _READ_ONLY:
            return (
                Invalid("a view that only reads cannot write")
                if reads
                else Unavailable(f"{server} takes no writes: it only follows another")
            )
        kind = _MEANING.get(code) or _MEANING.get(code[:2], Invalid)
        if isinstance(error, (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)):
            kind = Outdated
        # What follows the first quoted value, and the details of the server, may quote what was to be stored.
        said = str(error.args[0] if error.args else "").partition(': "')[0].partition("\n")[0]
        if code == _NOT_UTF8:
            return Invalid("text may not contain NUL")  # which a stranger may have sent, who learns of no server
        return kind(f"{server}: {said}" + (f" ({code})" if code else ""))
    text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    said = text.partition("\n")[0]
    if isinstance(error, asyncpg.InterfaceError) and not ("closed" in said or "released" in said):
        return Invalid(f"{server}: {said}")
    return Unavailable(f"{server} is away: {said or 'it does not answer'}")
