"""The door to the outside: every byte that leaves for a scan, a hook or a login goes through an `Egress`."""

from services.kernel.egress.dial import DialTable
from services.kernel.egress.door import Egress
from services.kernel.egress.errors import (
    EgressError,
    Forbidden,
    Refused,
    TimedOut,
    TlsFailed,
    TooMuch,
    Unreachable,
)
from services.kernel.egress.guard import Guard
from services.kernel.egress.proxy import Direct, Proxy

__all__ = [
    "DialTable",
    "Direct",
    "Egress",
    "EgressError",
    "Forbidden",
    "Guard",
    "Proxy",
    "Refused",
    "TimedOut",
    "TlsFailed",
    "TooMuch",
    "Unreachable",
]
