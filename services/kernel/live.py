"""Settings that may change while a service runs: watched, checked, and as they were until a good one comes."""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog
from msgspec import Struct

from services.kernel.observe import set_level
from services.kernel.values import Values

T = TypeVar("T", bound=Struct)

#: Where those of each service are, as JSON, by its name.
SETTINGS: Final = "settings/"

_log = structlog.get_logger(__name__)


class Live(Generic[T]):
    """``now`` is what holds: the defaults of ``form`` until something else is known.

    ``level``: that of the log where nothing is set.
    """

    def __init__(self, service: str, form: type[T], level: str = "info") -> None:
        self._service = service
        self._form = form
        self._level = level
        self.now = form()

    async def follow(self, values: Values, *, logs: bool) -> None:
        """Take over every change, as long as the process runs; with ``logs`` the level of its log too."""
        async for found in values.watch(SETTINGS):
            content = found.get(SETTINGS + self._service)
            said = self._take(content)
            if said is not None and logs:
                set_level(said.get("log", self._level))

    def _take(self, content: bytes | None) -> Mapping[str, Any] | None:
        """Take over what was said of them, and return it; None where it cannot be."""
        try:
            said = {} if content is None else msgspec.json.decode(content, type=dict[str, Any])
            # What is not known was set of a newer version, which was taken back; the rest holds all the same.
            known = {name: value for name, value in said.items() if name in self._form.__struct_fields__}
            self.now = msgspec.convert(known, self._form)
        except msgspec.MsgspecError as error:
            _log.error("settings are not taken over", service=self._service, reason=str(error))
            return None
        return known
