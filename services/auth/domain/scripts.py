"""What a token of a script may, and for how long."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from services.auth.domain.times import DAY
from services.kernel.errors import Denied, Invalid

#: The longest time for which a script's token may be good.
LONGEST_TOKEN: Final = 366 * DAY


def wanted_permissions(asked: Iterable[str], mine: AbstractSet[str], known: AbstractSet[str]) -> tuple[str, ...]:
    """What a token may for which somebody who has ``mine`` said ``asked``: names, `all` of his, or those that `read`.

    Raises:
        Invalid: there is no such permission, or nothing is left.
        Denied: it is none of his own.
    """
    words = set(asked)
    if unknown := words - known - {"all", "read"}:
        raise Invalid(
            f"there is no permission {', '.join(sorted(unknown))[:200]}; there are {', '.join(sorted(known))}"
        )
    wanted = words & known
    if beyond := wanted - mine:
        raise Denied(f"you do not have {', '.join(sorted(beyond))} yourself")
    wanted |= mine if "all" in words else set()
    wanted |= {each for each in mine if each.endswith(".read")} if "read" in words else set()
    if not wanted:
        raise Invalid("a token that may do nothing is of no use")
    return tuple(sorted(wanted))
