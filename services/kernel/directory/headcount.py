"""How many instances of a service there are, without asking each time."""

from typing import Any

from services.kernel.directory import Directory


class Headcount:
    """``now`` is the number of instances that are well, one at least; `follow` must be running."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.now = 1

    async def follow(self, directory: Directory) -> None:
        """Count them, as long as the process runs."""
        async for instances in directory.watch(self._service):
            self.now = max(1, len(instances))


def headcount_of(state: dict[str, Any], service: str) -> Headcount:
    """The one count of a service in this process."""
    found = state.setdefault(f"headcount of {service}", Headcount(service))
    assert isinstance(found, Headcount)
    return found
