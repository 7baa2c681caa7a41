"""What a service is: a value that says what it needs, says, hears, answers and asks.

Doors, consumers and tasks are named by import strings, so that a service can be listed, rendered and checked without
importing what only a running one needs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import Struct

from services.kernel.calls import Calls, Endpoint
from services.kernel.messages import NO_REASON, Because

if TYPE_CHECKING:
    from services.kernel.blobs import Blobs
    from services.kernel.bus import Bus, Delivery
    from services.kernel.cache import Cache
    from services.kernel.directory import Directory
    from services.kernel.documents import Documents
    from services.kernel.egress import Egress
    from services.kernel.graph import Graph
    from services.kernel.live import Live
    from services.kernel.locks import Locks
    from services.kernel.outbox import Outbox
    from services.kernel.scheduler.nomad import Nomad
    from services.kernel.seal import Seal
    from services.kernel.search import Search
    from services.kernel.settings import Settings
    from services.kernel.sql import Reader, Sql, Tx
    from services.kernel.trail import Question, Trail
    from services.kernel.values import Values

M = TypeVar("M", bound=Struct)


class Service(Struct, frozen=True, kw_only=True):
    """The declaration of one service.

    ``needs``: names of ports. ``publishes``, ``consumes``: message types; ``follows``: those that it reads along, as
    they come; of one that publishes a form of `Entry` the audit trail is told what it is asked. ``answers``, ``asks``:
    endpoints.
    ``doors``: import string of ``{endpoint: function}``. ``consumers``: of a sequence of `Handles`. ``tasks``: of a
    sequence of functions that take the service's `Ports`, run beside it and raise only what shall end the process.
    ``migrations``: a package. ``cache_mib``: the page cache of its embedded database, for one that writes much.
    ``says``: of a function that takes the service's `Ports` and returns what the directory says of an instance beside
    its version. ``public``: of a function that takes the same and returns the ASGI application which the world may ask.
    ``fleet_only``: where all services are in one process, there is nothing for it to do. In a fleet it has between the
    two numbers of ``instances``, each of which may take ``memory_mib``. ``live``: the form of what can be set of it
    while it runs, by the name ``live`` among its ports.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    publishes: tuple[type[Struct], ...] = ()
    consumes: tuple[type[Struct], ...] = ()
    follows: tuple[type[Struct], ...] = ()
    answers: tuple[Endpoint[Any, Any], ...] = ()
    asks: tuple[Endpoint[Any, Any], ...] = ()
    doors: str = ""
    consumers: str = ""
    tasks: str = ""
    migrations: str = ""
    says: str = ""
    cache_mib: int = 2
    public: str = ""
    fleet_only: bool = False
    instances: tuple[int, int] = (1, 4)
    memory_mib: int = 256
    live: type[Struct] | None = None


class Ports:
    """What a running service holds: its own adapters, by the names of the ports. Only declared ports are there."""

    service: str
    settings: "Settings"
    calls: Calls
    sql: "Sql"
    bus: "Bus"
    blobs: "Blobs"
    documents: "Documents"
    search: "Search"
    cache: "Cache"
    directory: "Directory"
    graph: "Graph"
    values: "Values"
    locks: "Locks"
    scheduler: "Nomad"
    seal: "Seal"
    live: "Live[Any]"
    egress: "Egress"
    outbox: "Outbox"
    trail: "Trail"
    #: Where the service keeps what lives as long as the process, by the name of its owner module.
    state: dict[str, Any]

    def __init__(self, service: str, **ports: Any) -> None:
        self.service = service
        self.state = {}
        for name, port in ports.items():
            setattr(self, name, port)

    def event(self, name: str) -> asyncio.Event:
        """What wakes the parts of this process that wait for something, by its name; the same for all who ask."""
        event: asyncio.Event = self.state.setdefault(name, asyncio.Event())
        return event

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the service {self.service} does not declare that it needs {name}")


class Received(Struct, Generic[M], frozen=True):
    """A message with what its envelope says, and ``because`` of which more is said."""

    message: M
    workspace: UUID
    at: int
    because: Because = NO_REASON
    filter: str = ""


class Unit:
    """A unit of work: one transaction, and the messages that leave if and only if it commits."""

    def __init__(self, tx: "Tx", service: str) -> None:
        self.tx = tx
        self.service = service
        self.emitted: list[tuple[Struct, UUID, str, str, Because]] = []
        self.bundles: list[tuple[Mapping[str, Struct], UUID, Because]] = []
        self._because = NO_REASON
        self.afterwards: list[Callable[[], None]] = []
        #: The question whose entry for the audit trail it carries.
        self.carries: Question | None = None

    def because(self, because: Because) -> None:
        """Let what is emitted from now on say ``because`` of which message.

        A handler's unit begins with the last message of the batch, without which it would not be said yet; a handler
        that takes the messages of a batch apart says of each what it is doing.
        """
        self._because = because

    def emit(self, message: Struct, *, workspace: UUID, key: str, filter: str = "") -> None:
        """Publish ``message`` after the commit; its id is derived from its type and ``key``, so name it well."""
        self.emitted.append((message, workspace, key, filter, self._because))

    def emit_bundled(self, messages: Mapping[str, Struct], *, workspace: UUID) -> None:
        """As `emit` for many small messages of one type, by their keys: they travel in as few envelopes as may be."""
        self.bundles.append((messages, workspace, self._because))

    def then(self, call: Callable[[], None]) -> None:
        """Run ``call`` in this process once the commit is done; it must not fail and may be lost in a crash."""
        self.afterwards.append(call)


Handle = Callable[[Ports, Unit, Sequence[Received[Any]]], Awaitable[None]]
Bury = Callable[[Ports, Unit, Received[Any], str], Awaitable[None]]
Work = Callable[[Ports, Received[Any], "Hold"], Awaitable[None]]
Owners = Callable[["Reader", Sequence[Received[Any]]], Awaitable[Sequence[UUID | None]]]


class Hold:
    """A message that long work is being done on; `extend` it more often than its ``ack_wait``."""

    def __init__(self, bus: "Bus", delivery: "Delivery") -> None:
        self._bus = bus
        self._delivery = delivery
        self.delay: float | None = None

    @property
    def tries(self) -> int:
        """How often it came by now, this time included."""
        return self._delivery.tries

    async def extend(self) -> None:
        await self._bus.extend([self._delivery])

    def give_back(self, delay: float) -> None:
        """Let it come again after ``delay`` seconds, uncounted, once the handler returns."""
        self.delay = delay


class Handles(Struct, frozen=True, kw_only=True):
    """One consumer of one message type; durable as ``<service>__<name>``.

    Either ``handle``, which gets batches inside one transaction with the inbox, or ``work``, which gets single
    messages, up to ``parallel`` at a time, for as long as it extends them. ``buried`` runs in a transaction of its
    own when a message failed for the fifth time.

    ``owners``: the workspace that each message's things are of, by the rows of this service, None for one that it knows
    nothing of yet; what comes from another one has no effect (`services.kernel.ownership`). ``everywhere``: whether
    what is said may be about no workspace, or has to be.
    """

    name: str
    takes: type[Struct]
    handle: Handle | None = None
    work: Work | None = None
    buried: Bury | None = None
    batch: int = 200
    parallel: int = 1
    ack_wait: float = 30.0
    owners: "Owners | None" = None
    everywhere: Literal["never", "also", "only"] = "never"


def load(path: str) -> Any:
    """Import ``package.module:attribute``."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
