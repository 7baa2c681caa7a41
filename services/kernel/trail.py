"""What the audit trail is told: each question that changes something leaves one entry, where and only where it does.

While a question is answered, its entry is in the making. The first unit of work of it that commits carries the entry
(`services.kernel.outbox`), so that nothing is done without it. What is done without such a unit is answered when its
entry was written by one of its own. What failed, or was refused, changed nothing: its entry is written soon after the
answer, so that nobody tells by the time that the answer takes whether there is one, and may be lost in a crash.

No text of a question's body comes into an entry: of its fields, only ids, flags and words of a given list are taken,
of its path what is no id only where it was found; and what a service found, as it is called there.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args, get_origin
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from services.kernel.cache import Bucket
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import Caller, Endpoint, Entry
from services.kernel.errors import Limited, meaning
from services.kernel.messages import EVERYWHERE, envelop, message_id, message_type, now
from services.kernel.request import current_trace, trace_id

if TYPE_CHECKING:
    from services.kernel.bus import Bus
    from services.kernel.outbox import Outbox
    from services.kernel.service import Ports, Service, Unit

A = TypeVar("A")

DONE: Final = "done"
#: How many entries of what failed are written of one caller and endpoint: strangers and loops shall not fill the disk.
FAILURES: Final = Bucket(rate=0.2, burst=30)
#: Seconds from what failed to its entry: nothing of that is done while somebody waits for the answer.
LATER: Final = 0.2
#: Entries that wait to be written before further ones are left out.
WAITING: Final = 1000
#: Characters of a text in an entry.
LONGEST: Final = 200

#: An entry, its workspace, and its key, which is the same whenever it is written.
Keyed = tuple[Entry, UUID, str]
Write = Callable[[Sequence[Keyed]], Awaitable[None]]


class Field(Struct, frozen=True):
    """A field of questions of which an entry may say something; ``words``: those of which it may be one."""

    name: str
    kind: Literal["id", "flag", "word", "text"]
    default: Any
    words: tuple[str, ...] = ()


class Question:
    """A question that is being answered, and what its entry is to say."""

    def __init__(
        self, service: str, form: type[Entry], endpoint: Endpoint[Any, Any], asked: Any, caller: Caller
    ) -> None:
        self.service = service
        self.workspace = caller.workspace if endpoint.within else EVERYWHERE
        self.account, self.name = caller.account, caller.name
        #: Nobody knows who asks; whom it is about may be said all the same.
        self.anonymous = caller.kind != "operator" and caller.account is None
        self.open = True
        self.about: dict[str, str] = {}
        self.made: dict[str, str] = {}
        self._form = form
        self._endpoint = endpoint
        self._asked = asked
        self._caller = caller
        self._key = uuid4().hex

    def entry(self, outcome: str) -> Keyed:
        caller, endpoint = self._caller, self._endpoint
        done = outcome == DONE
        found = _say_fields(endpoint, self._asked, texts=done) | self.about | (self.made if done else {})
        made = self._form(
            at=now(),
            what=f"{endpoint.service}.{endpoint.name}",
            outcome=outcome,
            kind=caller.kind,
            name=_plain(self.name),
            account=self.account,
            session=caller.session,
            address=_plain(caller.address),
            service=caller.service,
            about=found,
            trace=trace_id(current_trace()),
        )
        return made, self.workspace, self._key

    @property
    def allowance(self) -> str:
        """Whose failures at what are counted together."""
        return f"{self._endpoint.name}|{self.account or self.name}|{self._caller.kind}"


_current: Final[ContextVar[Question | None]] = ContextVar("question", default=None)


def put_entry(unit: "Unit") -> None:
    """Let a unit carry the entry of the question that it is about, unless another one has."""
    question = _current.get()
    if question is None or not question.open or question.service != unit.service:
        return
    question.open = False
    unit.carries = question
    entry, workspace, key = question.entry(DONE)
    unit.emit(entry, workspace=workspace, key=key, filter=unit.service)


def take_entry_back(unit: "Unit | None") -> None:
    """The unit has failed: its entry is not written."""
    if unit is not None and unit.carries is not None:
        unit.carries.open = True


def say_about(**found: UUID | str) -> None:
    """Have the entry of this question name what it turned out to be about, by ids, or as it is called where it is."""
    if (question := _current.get()) is not None:
        question.about |= {name: _plain(str(each)) for name, each in found.items()}


def say_made(**made: UUID) -> None:
    """Have the entry of this question name what was made, by ids, if it is made."""
    if (question := _current.get()) is not None:
        question.made |= {name: str(each) for name, each in made.items()}


def say_who(account: UUID, name: str) -> None:
    """Have the entry of this question name the account that somebody is, or tries to be, who is not known yet."""
    if (question := _current.get()) is not None and question.anonymous:
        question.account, question.name = account, name


def say_where(workspace: UUID) -> None:
    """Have the entry of this question be one of a workspace's, which is not the one it was asked in."""
    if (question := _current.get()) is not None:
        question.workspace = workspace


class Trail:
    """Records the questions of one service; `run` writes the entries of what failed, as long as the service does.

    ``form``: the message that an entry is. ``write`` writes those that no unit of a use case carries.
    """

    def __init__(self, service: str, form: type[Entry], write: Write) -> None:
        self._service = service
        self._form = form
        self._write = write
        self._waiting: list[tuple[str, Keyed]] = []
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._counts = MemoryCache()

    @asynccontextmanager
    async def answering(self, endpoint: Endpoint[Any, Any], question: Any, caller: Caller) -> AsyncIterator[None]:
        """Let the block answer a question, which leaves its entry."""
        asked = self._begin(endpoint, question, caller)
        with _answering(asked):
            try:
                yield
            except Exception as error:
                self._fail(asked, error)
                raise
            await self._end(asked)

    async def streaming(
        self, endpoint: Endpoint[Any, Any], question: Any, caller: Caller, parts: AsyncGenerator[A, None]
    ) -> AsyncGenerator[A, None]:
        """The parts of an answer, of which the question leaves its entry; where it only reads, before the first."""
        asked = self._begin(endpoint, question, caller)
        async with aclosing(parts):
            try:
                while True:
                    with _answering(asked, over=False):
                        part = await anext(parts, _END)
                        if endpoint.method == "GET" or part is _END:
                            await self._end(asked)
                    if part is _END:
                        return
                    yield part  # type: ignore[misc]  # which is no `_END`
            except Exception as error:
                self._fail(asked, error)
                raise
            finally:
                if asked is not None:
                    asked.open = False

    def refused(self, endpoint: Endpoint[Any, Any], caller: Caller) -> None:
        """Note that somebody who is known asked what he may not."""
        self._note(Question(self._service, self._form, endpoint, None, caller), "denied")

    async def run(self) -> None:
        """Write the entries of what failed, when their answers have gone."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(LATER)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; of one caller and endpoint no more than `FAILURES`. When it returns, all is written."""
        async with self._writing:
            waiting, self._waiting = self._waiting, []
            entries = [entry for key, entry in waiting if not key or not await self._counts.take(key, FAILURES)]
            try:
                if entries:
                    await self._write(entries)
            except BaseException:
                self._waiting = [("", entry) for entry in entries] + self._waiting
                self._wake.set()
                raise

    def _begin(self, endpoint: Endpoint[Any, Any], question: Any, caller: Caller) -> Question | None:
        recorded = endpoint.is_audited if caller.kind != "service" else caller.service in endpoint.audited_for
        return Question(self._service, self._form, endpoint, question, caller) if recorded else None

    async def _end(self, asked: Question | None) -> None:
        """See that what was done has its entry; who is not known, and changed nothing, leaves none."""
        if asked is not None and asked.open and not asked.anonymous:
            asked.open = False
            await self._write([asked.entry(DONE)])

    def _fail(self, asked: Question | None, error: Exception) -> None:
        if asked is not None and asked.open and not isinstance(error, Limited):
            self._note(asked, meaning(error).code)

    def _note(self, asked: Question, outcome: str) -> None:
        if (asked.account is not None or not asked.anonymous) and len(self._waiting) < WAITING:
            self._waiting.append((asked.allowance, asked.entry(outcome)))
            self._wake.set()


_END: Final = object()


def open_trail(service: "Service", ports: "Ports") -> None:
    """Give a service that publishes entries its trail: in its outbox, or on the bus at once where it has none."""
    form = next((message for message in service.publishes if issubclass(message, Entry)), None)
    if form is None:
        return
    outbox = vars(ports).get("outbox")
    write = _writes_on(ports.bus, service.name) if outbox is None else _writes_in(outbox)
    ports.trail = Trail(service.name, form, write)


def _writes_in(outbox: "Outbox") -> Write:
    async def write(entries: Sequence[Keyed]) -> None:
        async with outbox.unit() as unit:
            for entry, workspace, key in entries:
                unit.emit(entry, workspace=workspace, key=key, filter=unit.service)

    return write


def _writes_on(bus: "Bus", service: str) -> Write:
    async def write(entries: Sequence[Keyed]) -> None:
        await bus.publish(
            [
                envelop(
                    entry, source=service, workspace=workspace, filter=service,
                    id=message_id(message_type(type(entry)), workspace, key),
                )
                for entry, workspace, key in entries
            ]
        )  # fmt: skip

    return write


@contextmanager
def _answering(asked: Question | None, *, over: bool = True) -> Iterator[None]:
    """Let what is done in the block be done for a question, ``over`` with it; what it began and goes on is not."""
    token = _current.set(asked)
    try:
        yield
    finally:
        _current.reset(token)
        if asked is not None and over:
            asked.open = False


_fields: Final[dict[tuple[str, str], tuple[Field, ...]]] = {}


def _say_fields(endpoint: Endpoint[Any, Any], asked: Any, *, texts: bool) -> dict[str, str]:
    """What an entry may say of a question; with ``texts`` those of its path, too."""
    known = _fields.get((endpoint.service, endpoint.name))
    if known is None:
        known = _fields[endpoint.service, endpoint.name] = _fields_of(endpoint)
    found = ((field.name, _say(field, getattr(asked, field.name, None), texts=texts)) for field in known)
    return {name: said for name, said in found if said}


def _say(field: Field, value: Any, *, texts: bool) -> str:
    """A value, as far as it may be said; nothing else, whatever is in the place of one."""
    if value is None or value == field.default:
        return ""
    if field.kind == "id":
        return str(value) if isinstance(value, UUID) else ""
    if field.kind == "flag":
        return str(value).lower() if isinstance(value, bool) else ""
    if field.kind == "word":
        return value if isinstance(value, str) and value in field.words else ""
    return _plain(str(value)) if texts else ""


def _fields_of(endpoint: Endpoint[Any, Any]) -> tuple[Field, ...]:
    found = []
    for field in msgspec.structs.fields(endpoint.takes):
        form = _bare(field.type)
        if form is UUID:
            found.append(Field(field.name, "id", field.default))
        elif form is bool:
            found.append(Field(field.name, "flag", field.default))
        elif get_origin(form) is Literal:
            words = tuple(word for word in get_args(form) if isinstance(word, str))
            found.append(Field(field.name, "word", field.default, words))
        elif field.name in endpoint.path_fields:
            found.append(Field(field.name, "text", field.default))
    return tuple(found)


def _bare(form: Any) -> Any:
    """A type without its bounds, and without the possibility that there is nothing."""
    if get_origin(form) is Annotated:
        return _bare(get_args(form)[0])
    options = [each for each in get_args(form) if each is not NoneType]
    return _bare(options[0]) if len(options) == 1 and NoneType in get_args(form) else form


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text[:LONGEST])
