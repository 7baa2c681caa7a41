"""How many streams are asked of services, so that whoever opens as many as he can keeps nobody else from one.

Each account has a number of places. Where all are taken, whoever has the most makes room for who has fewer: however
many open as many as they can, all have about as many in the end, and who comes with none gets one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from services.kernel.errors import Limited

#: Streams that are asked of services at a time for one account, and for all.
OF_ACCOUNT: Final = 64
IN_ALL: Final = 1024
#: Seconds after which whoever was refused one may ask again.
REFUSED: Final = 5.0
MADE_ROOM: Final = "too many streams are open, and most of them are yours: end some, and ask for this one again"


class Place:
    """One stream that is asked of a service; ``end`` has it end, with a reason."""

    def __init__(self, end: Callable[[str], object]) -> None:
        self.end = end


class Places:
    """The streams that are asked of services, by account."""

    def __init__(self) -> None:
        #: The oldest of each account first.
        self._taken: defaultdict[UUID | None, list[Place]] = defaultdict(list)

    @contextmanager
    def taken(self, account: UUID | None, end: Callable[[str], object]) -> Iterator[Place]:
        """Have one more of an account's, while this is open, or until it has to ``end``.

        Raises:
            Limited: it has as many as it may, or all others have no more than it would.
        """
        held = len(self._taken.get(account, ()))
        if held >= OF_ACCOUNT:
            raise Limited(f"{OF_ACCOUNT} streams of yours are open: end one, or try again later", REFUSED)
        if sum(map(len, self._taken.values())) >= IN_ALL:
            self._make_room(held)
        place = Place(end)
        self._taken[account].append(place)
        try:
            yield place
        finally:
            self._leave(account, place)

    def _make_room(self, held: int) -> None:
        """Have the oldest stream end of whoever has the most, for somebody who then has no more than he has left."""
        account = max(self._taken, key=lambda each: len(self._taken[each]))
        if len(self._taken[account]) <= held + 1:
            raise Limited("too many streams are open: try again later", REFUSED)
        oldest = self._taken[account][0]
        self._leave(account, oldest)
        oldest.end(MADE_ROOM)

    def _leave(self, account: UUID | None, place: Place) -> None:
        taken = self._taken.get(account, [])
        if place in taken:
            taken.remove(place)
            if not taken:
                del self._taken[account]
