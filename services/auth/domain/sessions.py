"""How sessions go on, and from where."""

from typing import Final, Literal

from services.auth.domain.times import DAY
from services.kernel import networks

#: A session lasts so long, and ends earlier where it was not used for so long.
SESSION: Final = 90 * DAY
IDLE: Final = 14 * DAY


def network_of(address: str) -> str:
    """The network that an address is of, as far as one and the same person may have all of it; nothing for none."""
    return networks.network_of(address, v4=24, v6=56)


def refreshed(*, digest: bytes, current: bytes, former: bytes) -> Literal["next", "again", "stolen"]:
    """What it means that a refresh token of a session comes.

    The one before the current one comes *again* where the answer with the current one was lost: the current one has
    not been used then. Any other one was taken from somebody, since each is used once.
    """
    if digest == current:
        return "next"
    return "again" if digest == former else "stolen"
