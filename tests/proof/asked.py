"""What an exchange in a journal asked of the lab, in the lab's own terms."""

from collections import Counter

from services.collector.context import Nameless, Refused
from services.collector.item.exchange import recall
from services.collector.resolve import transcript
from services.contracts.evidence import EvidenceRecord
from services.kernel.egress.location import locate

#: An HTTP or WHOIS request by (host, method, target), or a question by (name, type).
Asked = tuple[str, ...]


def is_request(asked: Asked) -> bool:
    return len(asked) == 3


def content_of(record: EvidenceRecord, body: bytes) -> Counter[Asked]:
    """What an exchange asked of the lab: a request, or the questions of a chunk; nothing for other protocols.

    A request for which there was no connection is none: counted, it would stand for one of the other scheme that was.
    """
    if record.error and isinstance(recall(record.error), Refused | Nameless):
        return Counter()
    if record.protocol == "http":
        method, _, url = record.request.partition(" ")
        location = locate(url)
        return Counter([(location.host, method, location.target)])
    if record.protocol == "whois":
        query, _, server = record.request.rpartition(" @")
        return Counter([(server, "WHOIS", query)])
    if record.protocol == "dns" and body and "@" not in record.request:
        return Counter([(answer.name, answer.type) for answer in transcript.decode(body)])
    return Counter()


def dialled_for(record: EvidenceRecord) -> list[str]:
    """The names whose addresses an exchange needs: they are looked up again by every process."""
    if record.protocol == "http":
        return [locate(record.request.partition(" ")[2]).host]
    if record.protocol == "whois":
        return [record.request.rpartition("@")[2]]
    return []
