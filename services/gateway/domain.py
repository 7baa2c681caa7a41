"""Which endpoint a request asks, by its method and path alone; and what is not told outside."""

import re
from collections.abc import Iterable
from typing import Final, Generic, TypeVar
from urllib.parse import unquote

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
        """What is at ``path``, which is as it was sent, and is understood as services do, who decode it first.

        A slash that is encoded (%2F) would be one between segments there, so there is nothing at such a path.

        Raises:
            NotAllowed: with another method.
            NotFound: nothing.
        """
        others: list[str] = []
        decoded = unquote(path)
        depth = path.count("/")
        for asked, pattern, entry in self._by_length.get(depth, ()) if decoded.count("/") == depth else ():
            if pattern.fullmatch(decoded):
                if asked == method:
                    return entry
                others.append(asked)
        if others:
            raise NotAllowed(path[:200], others)
        raise NotFound(f"there is nothing at {path[:200]}")


# A word is looked at from its beginning only and taken whole, so that a long one costs no more than reading it.
_SCHEME: Final = r"(?<![\w+.-])[\w+.-]++://"
_NAME: Final = r"(?<![\w.-])(?=[\w.-]*?[a-z.])[\w.-]++"
_NAMED: Final = rf"(?:{_SCHEME})?(?:{_NAME}|\[[0-9a-f:.]++\]):\d{{2,5}}\b(?!\.\d)(?:/[^\s,;]*)?"
_ADDRESS: Final = rf"(?:{_NAMED}|\d{{1,3}}(?:\.\d{{1,3}}){{3}})"
_ADDRESSES: Final = re.compile(rf"( at )?{_ADDRESS}(?:, ?{_ADDRESS})*", re.IGNORECASE)


def without_addresses(text: str) -> str:
    """A text that says which server is away, without where that is."""
    return _ADDRESSES.sub(lambda found: "" if found[1] else "a server", text)
