"""DNS: a stub resolver for bulk look-ups, the wildcards it meets and the transcripts it leaves."""

from services.collector.resolve.answer import Addresses, Answer, Record, Status
from services.collector.resolve.names import BadMessage
from services.collector.resolve.resolver import Resolver, system_resolvers
from services.collector.resolve.transfer import Part, TransferFailed
from services.collector.resolve.wildcards import Wildcards

__all__ = [
    "Addresses",
    "Answer",
    "BadMessage",
    "Part",
    "Record",
    "Resolver",
    "Status",
    "TransferFailed",
    "Wildcards",
    "system_resolvers",
]
