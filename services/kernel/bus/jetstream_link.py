"""A live connection to a fleet's NATS, on which questions are asked; whatever waits on it fails when it is lost.

nats-py reconnects by itself, but then what was asked on the old connection waits in vain, and it gives up for good
after an error that it does not know. So it is told not to (`jetstream_connection.py` makes a new one).
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
import nats.errors
import structlog
from msgspec import Struct
from nats.aio.msg import Msg

from services.kernel.bus.jetstream_wire import Wire, end
from services.kernel.errors import Denied, Invalid, MirageError, Unavailable
from services.kernel.server import Server

#: How often (seconds) a connection is tried, and how long its answer may take, twice in a row.
WATCHED: Final = 1.0
ALIVE: Final = 2.0
#: Seconds without any answer after which a question is given up, on a connection that lives.
ANSWERED: Final = 10.0
#: Questions, and bytes of them, that are on their way at once.
WINDOW: Final = 500
WINDOW_BYTES: Final = 8 << 20

_log = structlog.get_logger(__name__)


class Lost(Unavailable):
    """The connection is gone; whatever waited on it does not know what became of it."""


class Gone(Unavailable):
    """Nobody takes what was asked, or what it is about is not there (any more)."""


class Question(Struct, frozen=True):
    """What is published with an inbox for the answer; without a subject, to that inbox itself."""

    subject: str
    payload: bytes = b""
    headers: dict[str, str] | None = None


class Refusal(Struct, frozen=True, rename={"number": "err_code"}):
    """Why the server would not: ``number`` as in nats-server's errors.json, ``description`` in its words."""

    code: int = 0
    number: int = 0
    description: str = ""


class Answer(Struct, frozen=True):
    """What every answer of JetStream may have."""

    error: Refusal | None = None
    stream: str = ""
    seq: int = 0
    duplicate: bool = False


class Refused(MirageError):
    """JetStream would not; the adapter turns it into what it means there."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.description)
        self.number = refusal.number


class _Asked:
    """Questions of one call that wait for their answers."""

    __slots__ = ("answers", "done", "left", "subjects")

    def __init__(self, questions: Sequence[Question]) -> None:
        self.subjects = [each.subject for each in questions]
        self.answers: list[Msg | None] = [None] * len(questions)
        self.left = len(questions)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, place: int, answer: Msg) -> None:
        if self.answers[place] is None:
            self.answers[place] = answer
            self.left -= 1
            if not self.left and not self.done.done():
                self.done.set_result(None)

    def fail(self, error: MirageError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Link:
    """A connection that lives until it is lost."""

    def __init__(self, client: Wire, server: Server, inbox: str) -> None:
        self.lost = False
        self._client = client
        self.server = server
        self._inbox = f"{inbox}.{client._nuid.next().decode()}"  # noqa: SLF001  its own maker of unique names
        self._numbers = itertools.count()
        self._asked: dict[str, tuple[_Asked, int]] = {}
        self._whom_to_tell: dict[int, Callable[[MirageError], None]] = {}
        self._said: set[str] = set()
        self._denial: Denied | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def largest(self) -> int:
        """The bytes that a message may have, its headers included."""
        return self._client.max_payload

    async def open(self) -> None:
        await self.subscribe(f"{self._inbox}.a.*", self._answered)
        self._watching = asyncio.create_task(self._watch())

    # Asking

    async def send(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Write a message; whether it arrived is not known."""
        if self.lost:
            raise self._loss()
        if self._denial is not None:
            raise self._denial
        try:
            await self._client.publish(subject, payload, reply, headers)
        except (nats.errors.MaxPayloadError, nats.errors.BadSubjectError, nats.errors.BadHeaderError) as error:
            raise Invalid(f"{self.server} does not take a message for {subject}: {error}") from error
        except (nats.errors.Error, OSError) as error:
            raise self._loss(error) from error

    async def ask(self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None) -> Msg:
        (answer,) = await self.ask_all([Question(subject, payload, headers)])
        return answer

    async def ask_all(self, questions: Sequence[Question], patience: float = ANSWERED) -> list[Msg]:
        """Ask, a window of questions at a time, and return their answers in order.

        Raises:
            Lost: the connection is gone, so it is not known what arrived.
            Unavailable: there was no answer for ``patience`` seconds.
            Denied: the user may not.
        """
        answers: list[Msg] = []
        while len(answers) < len(questions):
            answers += await self._ask_window(_window(questions, len(answers)), patience)
        return answers

    async def _ask_window(self, questions: Sequence[Question], patience: float) -> list[Msg]:
        asked = _Asked(questions)
        tokens: list[str] = []
        try:
            for place, question in enumerate(questions):
                token = f"{next(self._numbers)}"
                tokens.append(token)
                self._asked[token] = (asked, place)
                inbox = f"{self._inbox}.a.{token}"
                await self.send(question.subject or inbox, question.payload, inbox, question.headers)
            await self._wait(asked, patience)
        finally:
            for token in tokens:
                self._asked.pop(token, None)
            if not asked.done.cancel() and not asked.done.cancelled():
                asked.done.exception()  # perhaps nobody waits any more
        return [answer for answer in asked.answers if answer is not None]

    async def _wait(self, asked: _Asked, patience: float) -> None:
        while not asked.done.done():
            left = asked.left
            await asyncio.wait({asked.done}, timeout=patience)
            if asked.left == left and not asked.done.done():
                raise Unavailable(f"{self.server} did not answer for {patience:.0f} seconds")
        asked.done.result()

    async def _answered(self, message: Msg) -> None:
        asked = self._asked.get(message.subject.rpartition(".")[2])
        if asked is not None:
            asked[0].take(asked[1], message)

    async def call(self, subject: str, body: object = None) -> dict[str, Any]:
        """Ask JetStream's API.

        Raises:
            Refused: it would not.
            Unavailable: there is no JetStream, or the connection was lost.
        """
        answer = await self.ask(f"$JS.API.{subject}", b"" if body is None else msgspec.json.encode(body))
        check_answer(answer, self.server, f"JetStream's {subject}")
        found: dict[str, Any] = msgspec.json.decode(answer.data)
        return found

    async def get(self, stream: str, which: object) -> Msg | None:
        """Read one kept message, its place in its headers; None where there is none."""
        answer = await self.ask(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(which))
        status = (answer.headers or {}).get("Status", "")
        if status and "Nats-Sequence" not in (answer.headers or {}):
            if status == "404":
                return None
            raise Unavailable(f"{self.server} does not give a message of {stream}: {status}")
        return answer

    async def echo(self) -> None:
        """Send ourselves a message: what the server had to say before has come when it is back."""
        await self.ask("")

    # Listening

    def new_inbox(self) -> str:
        return f"{self._inbox}.{next(self._numbers)}"

    async def subscribe(self, subject: str, take: Callable[[Msg], Any]) -> Any:
        """Let ``take``, a coroutine function that waits for nothing, have what is published to ``subject``."""
        try:
            return await self._client.subscribe(subject, cb=take)
        except (nats.errors.Error, OSError) as error:
            raise self._loss(error) from error

    async def unsubscribe(self, subscription: Any) -> None:
        with suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()

    async def drain(self, subscription: Any) -> None:
        """Let nothing more be sent to it, and what was on its way be taken."""
        with suppress(nats.errors.Error, OSError):
            await self._client.mute(subscription)
        await self.echo()
        await self.unsubscribe(subscription)

    def tell(self, call: Callable[[MirageError], None]) -> Callable[[], None]:
        """Call ``call`` when the connection is lost; return what forgets it."""
        number = next(self._numbers)
        self._whom_to_tell[number] = call
        return lambda: self._whom_to_tell.pop(number, None) and None

    # Its end

    async def _watch(self) -> None:
        silent = 0
        while silent < 2:
            await asyncio.sleep(0 if silent else WATCHED)
            try:
                async with asyncio.timeout(ALIVE):
                    await self.echo()
                silent = 0
            except (TimeoutError, Unavailable):
                silent += 1
        self.lose("does not answer")

    def lose(self, reason: str) -> None:
        """Say that it is gone to everything that waits on it."""
        if self.lost:
            return
        self.lost = True
        error = Lost(f"{self.server} {reason}")
        for asked, _ in list(self._asked.values()):
            asked.fail(error)
        for call in list(self._whom_to_tell.values()):
            call(error)
        self._ending = asyncio.create_task(self.close())

    def _loss(self, error: Exception | None = None) -> Lost:
        if error is not None:
            self.lose(f"cannot be written to: {error}")
        return Lost(f"the connection to {self.server} was lost")

    async def hear(self, error: Exception) -> None:
        """Take an error that nats-py could give to nobody: one of rights is an answer, all are logged once."""
        text = str(error).lower()
        if "permissions violation" in text:
            denial = Denied(f"the user {self.server.user!r} may not use {text.rpartition(' to ')[2]} at {self.server}")
            unheard = "for subscription" in text  # no answer can come
            if unheard:
                self._denial = denial
            for asked, place in list(self._asked.values()):
                if unheard or f'"{asked.subjects[place].lower()}"' in text:
                    asked.fail(denial)
        kind = f"{type(error).__name__} {text}"
        if kind not in self._said and len(self._said) < WINDOW:
            self._said.add(kind)
            _log.warning("the bus complains", server=str(self.server), reason=str(error) or type(error).__name__)

    async def ended(self) -> None:
        """Wait until what `lose` has begun is done."""
        if self._ending is not None:
            await self._ending

    async def close(self) -> None:
        """End it: what was written still goes out, unless the server does not read."""
        self.lost = True
        if self._watching is not None and self._watching is not asyncio.current_task():
            self._watching.cancel()
        await end(self._client)


def is_unheard(answer: Msg) -> bool:
    """Whether this is how the server says that nobody listens to what was asked."""
    return not answer.data and (answer.headers or {}).get("Status") == "503"


def check_answer(answer: Msg, server: Server, what: str) -> Answer:
    """Raise what an answer of JetStream says went wrong: `Gone`, `Refused`, or `Unavailable`."""
    if is_unheard(answer):
        raise Gone(f"nobody at {server} answers to {what}")
    try:
        found = msgspec.json.decode(answer.data, type=Answer)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{server} answers what cannot be read to {what}: {error}") from error
    if found.error is not None:
        raise Refused(found.error)
    return found


def _window(questions: Sequence[Question], first: int) -> Sequence[Question]:
    size = 0
    for place in range(first, min(first + WINDOW, len(questions))):
        size += len(questions[place].payload)
        if size > WINDOW_BYTES and place > first:
            return questions[first:place]
    return questions[first : first + WINDOW]
