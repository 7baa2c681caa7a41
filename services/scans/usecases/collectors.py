"""How many collectors there are: as many as there are, so much more is handed out."""

from services.kernel.service import Ports

COLLECTOR = "collector"
_STATE = "scans.collectors"


def collectors_of(ports: Ports) -> int:
    """The collectors that are well, one at least."""
    count: int = ports.state.get(_STATE, 1)
    return count


async def watch_collectors(ports: Ports) -> None:
    """Count them, as long as the process runs."""
    async for instances in ports.directory.watch(COLLECTOR):
        ports.state[_STATE] = max(1, len(instances))
