"""Host names in text of any kind: source code, markup, headers, configuration."""

import re
from typing import Final

MAX_NAMES: Final = 2_000

_NAME_CHARS: Final = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_in_url = re.compile(
    rb":(?:/|\\/|%2f|\\u002f|\\x2f){2}(?:[a-z0-9._~!$&'+,;=%-]{1,64}(?::[^\s@/]{0,64})?@)?"
    rb"((?:[a-z0-9_-]{1,63}+\.){1,20}[a-z][a-z0-9-]{1,62}+)"
)
# The rest of an escape behind its % or backslash: %252F, %2F, \u002F, \x2F, \n.
_ESCAPES: Final = {
    ord("%"): re.compile(rb"(?:25)?[0-9a-f]{2}").match,
    ord("\\"): re.compile(rb"u00[0-9a-f]{2}|x[0-9a-f]{2}|[nrtbfv]").match,
}
_DOT: Final = ord(".")
_NAME_CODES: Final = frozenset(_NAME_CHARS)


def names_below(text: bytes, domain: str) -> list[str]:
    """The names at or below ``domain`` that stand in ``text``, each once, in order, in lower case.

    Escapes before a name and ``*.`` are left out. What resembles a name need not exist, nor have a normal form.
    """
    wanted = domain.encode()
    before, *rest = text.lower().split(wanted)
    found: dict[bytes, None] = {}
    for place, after in enumerate(rest, 1):
        goes_on = _goes_on(after) if after else place < len(rest)
        if not goes_on:
            name = _end_of(before)
            if not name or name[-1] == _DOT:
                found[name.lstrip(b".-") + wanted] = None
                if len(found) >= MAX_NAMES:
                    break
        before = after
    return [name.decode("ascii") for name in found if b".." not in name]


def hosts_in_urls(text: bytes) -> list[str]:
    """The hosts of the absolute URLs in ``text``, behind escaped slashes and user names too, each once, in order."""
    found: dict[bytes, None] = {}
    for match in _in_url.finditer(text.lower()):
        found[match[1]] = None
        if len(found) >= MAX_NAMES:
            break
    return [host.decode("ascii") for host in found]


def _goes_on(after: bytes) -> bool:
    """Whether the name goes on to the right, as ``example.org`` does in ``example.org.uk`` and ``example.organic``."""
    return after[0] in _NAME_CODES and (after[0] != _DOT or after[1:2].isalnum())


def _end_of(text: bytes) -> bytes:
    """The characters of names at the end of ``text``, without what an escape left there."""
    window = text[-253:]
    start = len(window.rstrip(_NAME_CHARS))
    end = window[start:]
    if start and window[start - 1] in _ESCAPES and (rest := _ESCAPES[window[start - 1]](end)):
        return end[rest.end() :]
    return end
