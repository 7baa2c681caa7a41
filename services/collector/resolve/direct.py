import asyncio
import secrets
from collections.abc import Sequence
from time import monotonic, time_ns
from typing import Final

from services.collector.resolve.answer import Answer
from services.collector.resolve.names import ParseError
from services.collector.resolve.stream import ask_over_tcp
from services.collector.resolve.wire import FORMERR, NOTIMP, Mismatch, build_query, build_question, read_answer
from services.kernel.egress import Egress, EgressError, Forbidden, Guard

LARGEST_DATAGRAM: Final = 4096
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
    label = f"[{server[0]}]:{server[1]}" if ":" in server[0] else f"{server[0]}:{server[1]}"
    try:
        question = build_question(name, type)
    except ParseError:
        return Answer(name, type, "broken", server=label)
    answer = Answer(name, type, "timeout", server=label, at=time_ns() // 1000)
    edns = True
    for limit in timeouts:
        try:
            async with asyncio.timeout(limit + TCP_TIMEOUT):
                answer = await once(egress, server, question, name, type, label, limit, allow, edns=edns)
        except Forbidden:
            raise
        except ParseError:
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
    loop = asyncio.get_running_loop()
    begun = monotonic()
    key = secrets.randbits(16)
    with egress.datagram_socket(*server, allow=allow) as connected:
        await loop.sock_sendall(connected, build_query(key, question, recursion=False, edns=edns))
        async with asyncio.timeout(limit):
            while True:
                wire = await loop.sock_recv(connected, LARGEST_DATAGRAM)
                if wire[:2] != key.to_bytes(2, "big"):
                    continue
                elapsed = int((monotonic() - begun) * 1_000_000)
                try:
                    answer = read_answer(wire, question, name, type, label, time_ns() // 1000, elapsed)
                except Mismatch:
                    continue
                break
    return answer or await ask_over_tcp(
        egress, server, question, name, type, label=label, recursion=False, connect_timeout=limit, allow=allow
    )
