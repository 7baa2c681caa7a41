"""What is said of a scan while it goes on, for whoever watches."""

from uuid import UUID

from msgspec import Struct

from services.contracts.resources import Progress


class Progressed(Struct, frozen=True, kw_only=True, tag="mirage.progress.scans.progressed.v2"):
    """Where a scan stands after its change at ``at``; without ``progress`` it was deleted. The newest one counts."""

    scan: UUID
    at: int
    progress: Progress | None = None


class Heartbeat(Struct, frozen=True, kw_only=True, tag="mirage.progress.auth.heartbeat.v1"):
    """The number of the last revocation at an instant: said once a second, and at once after each new one."""

    last: int
    at: int
