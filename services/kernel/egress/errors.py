class EgressError(Exception):
    """Something that was to leave the process did not get through."""


class Forbidden(EgressError):
    """The guard refused ``address``; nothing was sent."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} may not be dialled: {reason}")
        self.address = address
        self.reason = reason


class Unreachable(EgressError):
    """There is no way to the address, or the dial table does not know it."""


class Refused(EgressError):
    """The address is there and takes no connection on that port."""


class TimedOut(EgressError):
    """The caller's time limit ran out."""


class TlsFailed(EgressError):
    """The TLS handshake did not complete; ``reason`` is one short phrase."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"TLS failed: {reason}")
        self.reason = reason


class TooMuch(EgressError):
    """A limit on bytes was passed; what came before it is not kept."""
