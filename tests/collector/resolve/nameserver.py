"""A name server of a few lines that a test can teach bad manners."""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class Question(NamedTuple):
    name: str
    type: str
    transport: str
    message: dns.message.QueryMessage
    port: int
    number: int


Reply = dns.message.Message | bytes | None
Behave = Callable[[Question], Reply | Iterable[Reply]]
SOA = "ns.example. root.example. 1 3600 600 86400 60"


def answer(question: Question, *records: str, rcode: str = "NOERROR", negative: bool = False):
    """A response with ``records`` written ``owner ttl type data``."""
    response = dns.message.make_response(question.message)
    response.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        owner, ttl, kind, data = record.split(" ", 3)
        response.answer.append(dns.rrset.from_text(owner + ".", int(ttl), "IN", kind, data))
    if negative or rcode == "NXDOMAIN":
        response.authority.append(dns.rrset.from_text("example.", 300, "IN", "SOA", SOA))
    return response


def nxdomain(question: Question):
    return answer(question, rcode="NXDOMAIN")


def address(question: Question):
    """198.18.0.1 for every name."""
    return answer(question, f"{question.name} 300 A 198.18.0.1")


class Nameserver(asyncio.DatagramProtocol):
    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.asked: list[Question] = []
        self.port = 0

    @property
    def upstream(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def label(self) -> str:
        return f"127.0.0.1:{self.port}"

    def names(self) -> list[str]:
        return [question.name for question in self.asked]

    async def start(self) -> None:
        self.tasks: set[asyncio.Task] = set()
        loop = asyncio.get_running_loop()
        while True:
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
            self.port = self.server.sockets[0].getsockname()[1]
            try:
                self.transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", self.port))
            except OSError:  # a port that is free for TCP may be taken for UDP
                self.server.close()
                await self.server.wait_closed()
            else:
                return

    async def stop(self) -> None:
        self.transport.close()
        self.server.close()
        await self.server.wait_closed()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(3):  # transports are closed in the next turns of the loop
            await asyncio.sleep(0)

    def replies(self, wire: bytes, transport: str, port: int) -> list[bytes]:
        message = dns.message.from_wire(wire)
        asked = message.question[0]
        name = asked.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(asked.rdtype)
        question = Question(name, kind, transport, message, port, len(self.asked))
        self.asked.append(question)
        reply = self.behave(question)
        several = [reply] if reply is None or isinstance(reply, bytes | dns.message.Message) else list(reply)
        return [each if isinstance(each, bytes) else each.to_wire() for each in several if each is not None]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for reply in self.replies(data, "udp", addr[1]):
            self.transport.sendto(reply, addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                wire = await reader.readexactly(size)
                for reply in self.replies(wire, "tcp", 0):
                    writer.write(len(reply).to_bytes(2, "big") + reply)
        except (EOFError, OSError):
            pass
        finally:
            writer.close()
