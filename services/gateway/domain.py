"""Which endpoint a request asks: by its method and path, without a look at what is asked."""

import re
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from services.kernel.errors import NotFound

T = TypeVar("T")

_PARAMETER: Final = re.compile(r"\\\{[a-z_]+\\\}")


class NotAllowed(NotFound):
    """There is such a path, but it is asked in another way; ``allowed`` says how."""

    def __init__(self, path: str, allowed: Iterable[str]) -> None:
        super().__init__(f"{path} is asked with {' or '.join(sorted(allowed))}")
        self.allowed = tuple(sorted(allowed))


class Routes(Generic[T]):
    """A table of (method, path with ``{parameters}``, what is there); the first that fits is meant."""

    def __init__(self, entries: Iterable[tuple[str, str, T]]) -> None:
        self._by_length: dict[int, list[tuple[str, re.Pattern[str], T]]] = {}
        # Words go before parameters: /v1/scans/preview is no scan of that name.
        for method, path, entry in sorted(entries, key=lambda each: each[1].replace("{", "~")):
            pattern = re.compile(_PARAMETER.sub("[^/]+", re.escape(path)))
            self._by_length.setdefault(path.count("/"), []).append((method, pattern, entry))

    def find(self, method: str, path: str) -> T:
        """What is at ``path``.

        Raises:
            NotAllowed: with another method.
            NotFound: nothing.
        """
        others: list[str] = []
        for asked, pattern, entry in self._by_length.get(path.count("/"), ()):
            if pattern.fullmatch(path):
                if asked == method:
                    return entry
                others.append(asked)
        if others:
            raise NotAllowed(path[:200], others)
        raise NotFound(f"there is nothing at {path[:200]}")
