from typing import Literal

from msgspec import Struct

Status = Literal["found", "nodata", "nxdomain", "servfail", "refused", "timeout", "broken"]


class Record(Struct, frozen=True, gc=False):
    """One resource record of an answer section.

    Names (``owner``, and those inside ``data``) are lower case, without the final dot, the root is "."; ``data`` is
    presentation form (RFC 1035 5.1), TXT as quoted strings; ``ttl`` is in seconds.
    """

    owner: str
    type: str
    ttl: int
    data: str


class Answer(Struct, frozen=True, gc=False):
    """What became of one question.

    ``status``: found has records of the asked type; nodata and nxdomain are answers too; servfail, refused, timeout
    and broken (an answer that breaks the protocol, or a name that cannot be asked) mean that nothing was learnt.
    ``records`` is the answer section in its order, CNAMEs included. ``rcode`` is -1 without a response.
    ``negative_ttl`` (seconds, RFC 2308) comes from the SOA beside a negative answer. ``wire`` is the response as it
    came, empty without one; ``server`` is address and port as ``192.0.2.53:53``; ``at`` is when the response was
    taken up (UTC microseconds) and ``elapsed`` how long it took (microseconds).
    """

    name: str
    type: str
    status: Status
    rcode: int = -1
    records: tuple[Record, ...] = ()
    negative_ttl: int | None = None
    wire: bytes = b""
    server: str = ""
    at: int = 0
    elapsed: int = 0

    @property
    def asked(self) -> bool:
        """Whether the question was answered, be it negatively."""
        return self.status in {"found", "nodata", "nxdomain"}

    @property
    def values(self) -> tuple[str, ...]:
        """The data of the records of the asked type."""
        return tuple(record.data for record in self.records if record.type == self.type)

    @property
    def chain(self) -> tuple[str, ...]:
        """The targets of the CNAMEs from the asked name on, in order."""
        targets = {record.owner: record.data for record in self.records if record.type == "CNAME"}
        chain: list[str] = []
        name = self.name
        while (target := targets.pop(name, None)) is not None:
            chain.append(target)
            name = target
        return tuple(chain)


class Addresses(Struct, frozen=True):
    """The addresses of a name, IPv4 first, behind its CNAME ``chain``; ``answers`` are those for A and AAAA."""

    name: str
    addresses: tuple[str, ...]
    chain: tuple[str, ...]
    answers: tuple[Answer, ...]
