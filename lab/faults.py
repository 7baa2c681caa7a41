"""Faults on demand: what goes wrong, where, and how often."""

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec
from msgspec import Struct

Kind = Literal[
    "slow",
    "rate_limited",
    "server_error",
    "unauthorised",
    "forbidden",
    "not_found",
    "broken_json",
    "empty_body",
    "truncated_body",
    "endless_body",
    "endless_headers",
    "gzip_bomb",
    "redirect_loop",
    "redirect_private",
    "redirect_elsewhere",
    "reset",
    "hang",
    "garbage",
    "tls_expired",
    "tls_wrong_name",
    "tls_self_signed",
    "tls_handshake_failure",
    "dns_silent",
    "dns_servfail",
    "dns_refused",
    "dns_truncated",
    "dns_slow",
    "dns_wrong_id",
    "rebinding",
]
KINDS: tuple[str, ...] = get_args(Kind)
TLS = frozenset(kind for kind in KINDS if kind.startswith("tls_"))
DNS = frozenset(kind for kind in KINDS if kind.startswith("dns_") or kind == "rebinding")
TCP = frozenset(("reset", "hang", "garbage"))
HTTP = frozenset(KINDS) - TLS - DNS


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong.

    seconds: how long `slow`, `dns_slow` wait; status: of `server_error`; retry_after: seconds, of `rate_limited`;
    location: where `redirect_private` and `redirect_elsewhere` send to, or the address a `rebinding` name turns to;
    size: bytes (unpacked) of a bomb; path: only request targets that begin with it;
    skip: how many times all is well first; times: how many times it happens, then all is well again (None: always).
    """

    kind: Kind
    seconds: float = 1.0
    status: int = 503
    retry_after: int | None = 1
    location: str = ""
    size: int = 1 << 30
    path: str = ""
    skip: int = 0
    times: int | None = None


class Faults:
    """The faults in force, by key.

    A key is the id of a provider, a host name, `resolver` or the name of a name server, or a logical address
    (`203.0.113.7`), for which the fault happens on every connection to it.
    """

    def __init__(self) -> None:
        self._faults: dict[str, tuple[Fault, ...]] = {}
        self._met: dict[tuple[str, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self._faults)

    def set(self, key: str, *faults: Fault | Kind) -> None:
        """Let `faults` happen at `key`, the first that applies each time; none clears them."""
        self._met = {met: count for met, count in self._met.items() if met[0] != key}
        made = tuple(fault if isinstance(fault, Fault) else Fault(kind=fault) for fault in faults)
        if made:
            self._faults[key] = made
        else:
            self._faults.pop(key, None)

    def clear(self) -> None:
        self._faults.clear()
        self._met.clear()

    def all(self) -> dict[str, tuple[Fault, ...]]:
        return dict(self._faults)

    def find(self, keys: Iterable[str], kinds: frozenset[str], target: str = "") -> Fault | None:
        """The fault of one of `kinds` for one of `keys`, counted as met."""
        for key in keys:
            for number, fault in enumerate(self._faults.get(key, ())):
                if fault.kind not in kinds or not target.startswith(fault.path):
                    continue
                met = self._met[key, number] = self._met.get((key, number), 0) + 1
                if met > fault.skip and (fault.times is None or met <= fault.skip + fault.times):
                    return fault
        return None


def parse_fault(text: str) -> tuple[str, Fault]:
    """A fault from the command line: `KEY=KIND[,name=value…]`, for instance `crtsh=slow,seconds=3,times=2`."""
    key, _, rest = text.partition("=")
    kind, *options = rest.split(",")
    if not key or kind not in KINDS:
        raise ValueError(f"{text!r} is not KEY=KIND[,name=value…] with one of the kinds {', '.join(KINDS)}")
    fields = dict(option.split("=", 1) for option in options)
    return key, msgspec.convert({"kind": kind, **fields}, Fault, strict=False)
