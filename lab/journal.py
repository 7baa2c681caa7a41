"""Who asked what, and when: counts in memory, lines of JSON on disk."""

import time
from collections import Counter, deque
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec import Struct

from lab.dns import wire

encode = msgspec.json.Encoder().encode


class Connection(Struct, frozen=True):
    """A TCP connection that reached the lab: when (seconds since the epoch), from where, to which logical endpoint."""

    at: float
    peer: str
    address: str
    port: int


class HttpRequest(Struct, frozen=True):
    """A request that reached the lab; `provider` is empty for web hosts."""

    at: float
    peer: str
    address: str
    port: int
    host: str
    method: str
    target: str
    provider: str
    status: int


class Query(Struct, frozen=True):
    """A DNS question that reached a server of the lab."""

    at: float
    peer: str
    server: str
    name: str
    type: str
    transport: str


class Journal:
    """The log of one lab. With a folder, lines are appended to `web.jsonl`, `tcp.jsonl` and `dns-<server>.jsonl`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.connections: list[Connection] = []
        self.requests: list[HttpRequest] = []
        self.questions: dict[str, dict[bytes, int]] = {}
        self._asked: deque[tuple[float, str, int, str, bytes, str]] = deque()
        self._written = [0, 0]
        self._files: dict[str, TextIO] = {}

    def asked(self, server: str, peer: tuple[str, int], question: bytes, transport: str) -> None:
        """Note a DNS question; this runs for every datagram."""
        if self.folder is not None:
            self._asked.append((time.time(), peer[0], peer[1], server, question, transport))

    def counts_of(self, server: str) -> dict[bytes, int]:
        """The live counts of a server, by question on the wire; servers write them."""
        return self.questions.setdefault(server, {})

    def flush(self, limit: int | None = None) -> bool:
        """Write what is new to disk, at most `limit` lines of each kind; whether there is more."""
        if self.folder is None:
            return False
        more = False
        for name, rows, place in (("tcp", self.connections, 0), ("web", self.requests, 1)):
            begin = self._written[place]
            end = len(rows) if limit is None else min(len(rows), begin + limit)
            self._written[place] = end
            more |= end < len(rows)
            if end > begin:
                self._file(name).write("".join(encode(row).decode() + "\n" for row in rows[begin:end]))
        self._write_questions(limit)
        for file in self._files.values():
            file.flush()
        return more or bool(self._asked)

    def _write_questions(self, limit: int | None) -> None:
        lines: dict[str, list[str]] = {}
        for _ in range(len(self._asked) if limit is None else min(limit, len(self._asked))):
            at, host, port, server, question, transport = self._asked.popleft()
            name, kind = wire.decode_name(question[:-4].lower()), int.from_bytes(question[-4:-2])
            row = Query(at, f"{host}:{port}", server, name, _type_name(kind), transport)
            lines.setdefault(f"dns-{server}", []).append(encode(row).decode() + "\n")
        for name, texts in lines.items():
            self._file(name).write("".join(texts))

    def close(self) -> None:
        self.flush()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def reset(self) -> None:
        """Forget all counts; what is on disk stays."""
        self.flush()
        self.connections.clear()
        self.requests.clear()
        self._written = [0, 0]
        for counts in self.questions.values():
            counts.clear()

    def _file(self, name: str) -> TextIO:
        assert self.folder is not None
        if name not in self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._files[name] = (self.folder / f"{name}.jsonl").open("a", encoding="utf-8")
        return self._files[name]

    def providers(self) -> Counter[str]:
        """Requests by the provider that answered."""
        return Counter(request.provider for request in self.requests if request.provider)

    def hosts(self) -> Counter[str]:
        """HTTP requests by the host name asked for."""
        return Counter(request.host for request in self.requests)

    def asked_for(self) -> Counter[tuple[str, str, str]]:
        """HTTP and WHOIS requests by (host, method, target)."""
        return Counter((request.host, request.method, request.target) for request in self.requests)

    def addresses(self) -> Counter[str]:
        """TCP connections by logical address."""
        return Counter(connection.address for connection in self.connections)

    def endpoints(self) -> Counter[tuple[str, int]]:
        """TCP connections by logical address and port."""
        return Counter((connection.address, connection.port) for connection in self.connections)

    def names(self, server: str = "") -> Counter[tuple[str, str]]:
        """DNS questions by (name, type), of one server or of all."""
        counter: Counter[tuple[str, str]] = Counter()
        for name, counts in self.questions.items():
            if server in ("", name):
                for question, count in counts.items():
                    kind = int.from_bytes(question[-4:-2])
                    counter[wire.decode_name(question[:-4].lower()), _type_name(kind)] += count
        return counter

    def dns(self, name: str, kind: str = "", server: str = "") -> int:
        """How often a name was asked for."""
        names = self.names(server)
        return sum(count for (asked, asked_kind), count in names.items() if asked == name and kind in ("", asked_kind))

    def servers(self) -> dict[str, int]:
        """DNS questions by server."""
        return {server: sum(counts.values()) for server, counts in self.questions.items()}


def _type_name(kind: int) -> str:
    return TYPE_NAMES.get(kind) or wire.type_name(kind)


TYPE_NAMES = {number: wire.type_name(number) for number in (1, 2, 5, 6, 12, 15, 16, 28, 33, 257)}
