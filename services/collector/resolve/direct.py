import asyncio
import secrets
from asyncio import DatagramProtocol, Future
from collections.abc import Callable, Sequence
from time import monotonic, time_ns
from typing import Final

from services.collector.resolve.answer import Answer
from services.collector.resolve.names import BadMessage
from services.collector.resolve.stream import ask_over_tcp
from services.collector.resolve.wire import FORMERR, NOTIMP, Mismatch, build_query, build_question, read_answer
from services.kernel.egress import Egress, EgressError, Forbidden, Guard
from services.kernel.hostport import join_host_port

TCP_TIMEOUT: Final = 5.0


async def ask_at(
    egress: Egress,
    server: tuple[str, int],
    name: str,
    type: str,
    timeouts: Sequence[float],
    allow: Guard | None,
) -> Answer:
    """Ask a name server itself: over UDP, again without EDNS if it does not know that, over TCP if truncated.

    Raises `Forbidden`; everything else is an answer.
    """
    label = join_host_port(*server)
    try:
        question = build_question(name, type)
    except BadMessage:
        return Answer(name, type, "broken", server=label)
    answer = Answer(name, type, "timeout", server=label, at=time_ns() // 1000)
    edns = True
    for limit in timeouts:
        try:
            async with asyncio.timeout(limit + TCP_TIMEOUT):
                answer = await once(egress, server, question, name, type, label, limit, allow, edns=edns)
        except Forbidden:
            raise
        except BadMessage:
            answer = Answer(name, type, "broken", server=label, at=time_ns() // 1000)
            continue
        except (EgressError, OSError):
            continue
        if answer.rcode not in {FORMERR, NOTIMP} or not edns:
            break
        edns = False
    return answer


async def once(
    egress: Egress,
    server: tuple[str, int],
    question: bytes,
    name: str,
    type: str,
    label: str,
    limit: float,
    allow: Guard | None,
    *,
    edns: bool,
) -> Answer:
    query = build_query(secrets.randbits(16), question, recursion=False, edns=edns)
    begun = monotonic()

    def read(wire: bytes) -> Answer | None:
        if wire[:2] != query[:2]:
            raise Mismatch("the response to another query")
        elapsed = int((monotonic() - begun) * 1_000_000)
        return read_answer(wire, question, name, type, label, time_ns() // 1000, elapsed)

    transport, asking = await egress.datagram(lambda: Asking(read), *server, allow=allow)
    try:
        transport.sendto(query)
        async with asyncio.timeout(limit):
            answer = await asking.answered
    finally:
        transport.close()
    return answer or await ask_over_tcp(
        egress, server, question, name, type, label=label, recursion=False, connect_timeout=limit, allow=allow
    )


class Asking(DatagramProtocol):
    """Waits for the response that ``read`` takes, which is None when truncated."""

    def __init__(self, read: Callable[[bytes], Answer | None]) -> None:
        self.answered: Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._read = read

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.answered.done():
            return
        try:
            self.answered.set_result(self._read(data))
        except Mismatch:
            return
        except BadMessage as error:
            self.answered.set_exception(error)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc)
