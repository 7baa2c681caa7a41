"""Dead letters of the bus: for the operator of a process, over its socket, of all workspaces; never over HTTP."""

from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from services.kernel.bus import Bus, DeadLetter
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.errors import Invalid, NotFound

#: Letters in a list, the newest.
MOST: Final = 100
#: Letters that are looked through for one whose id is asked for.
_SEARCHED: Final = 1000


class Letter(Struct, frozen=True, kw_only=True):
    """A message that a consumer gave up on after ``tries`` deliveries, without what it says."""

    id: UUID
    consumer: str
    type: str
    workspace: UUID
    reason: str
    at: int
    tries: int
    size: int


class LetterRef(Struct, frozen=True):
    """A letter by its id or a unique beginning of it."""

    letter: str


class Opened(Struct, frozen=True):
    """A letter and what it says, as JSON."""

    letter: Letter
    data: bytes


class Letters(Struct, frozen=True):
    ids: tuple[UUID, ...]


LIST_DEAD: Final = Endpoint(
    service="bus", name="list_dead", method="GET", path="/v1/dead",
    takes=Nothing, answers=tuple[Letter, ...], summary=f"List the newest {MOST} dead letters.",
)  # fmt: skip
OPEN_DEAD: Final = Endpoint(
    service="bus", name="open_dead", method="GET", path="/v1/dead/{letter}",
    takes=LetterRef, answers=Opened, summary="Show a dead letter and what it says.",
)  # fmt: skip
RETRY_DEAD: Final = Endpoint(
    service="bus", name="retry_dead", method="POST", path="/v1/dead/retry",
    takes=Letters, answers=int, summary="Deliver dead letters once more; how many there were.",
    audited=False,
)  # fmt: skip
DROP_DEAD: Final = Endpoint(
    service="bus", name="drop_dead", method="POST", path="/v1/dead/drop",
    takes=Letters, answers=int, summary="Forget dead letters; how many there were.",
    audited=False,
)  # fmt: skip


async def list_dead(bus: Bus, _caller: Caller, _question: Nothing) -> tuple[Letter, ...]:
    return tuple(_letter(dead) for dead in await bus.dead(limit=MOST))


async def open_dead(bus: Bus, _caller: Caller, ref: LetterRef) -> Opened:
    beginning = ref.letter.lower().replace("-", "")
    if not beginning or not set(beginning) <= set("0123456789abcdef"):
        raise Invalid(f"{ref.letter[:64]!a} is not the id of a dead letter nor the beginning of one")
    found = [dead for dead in await bus.dead(limit=_SEARCHED) if dead.id.hex.startswith(beginning)]
    if not found:
        raise NotFound(f"there is no dead letter {ref.letter[:64]}")
    if len(found) > 1:
        raise Invalid(f"more than one dead letter begins with {ref.letter}; say more of its id")
    return Opened(_letter(found[0]), found[0].envelope.data)


async def retry_dead(bus: Bus, _caller: Caller, letters: Letters) -> int:
    return await bus.revive(letters.ids)


async def drop_dead(bus: Bus, _caller: Caller, letters: Letters) -> int:
    return await bus.drop_dead(letters.ids)


def _letter(dead: DeadLetter) -> Letter:
    return Letter(
        id=dead.id,
        consumer=dead.consumer,
        type=dead.envelope.type,
        workspace=dead.envelope.workspace,
        reason=dead.reason,
        at=dead.at,
        tries=dead.tries,
        size=len(dead.envelope.data),
    )


DOORS: Final[dict[Endpoint[Any, Any], Any]] = {
    LIST_DEAD: list_dead,
    OPEN_DEAD: open_dead,
    RETRY_DEAD: retry_dead,
    DROP_DEAD: drop_dead,
}
