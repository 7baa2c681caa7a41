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
_rest_of_escape = {
    b"%": re.compile(rb"(?:25)?[0-9a-f]{2}").match,
    b"\\": re.compile(rb"u00[0-9a-f]{2}|x[0-9a-f]{2}|[nrtbfv]").match,
}


def names_below(text: bytes, domain: str) -> list[str]:
    """The names at or below ``domain`` that stand in ``text``, each once, in order, in lower case.

    Escapes before a name and ``*.`` are left out. What resembles a name need not exist, nor have a normal form.
    """
    lowered = text.lower()
    wanted = domain.encode()
    found: dict[bytes, None] = {}
    at = lowered.find(wanted)
    while at >= 0 and len(found) < MAX_NAMES:
        end = at + len(wanted)
        if not _goes_on(lowered[end : end + 2]):
            before = _before(lowered[max(0, at - 253) : at])
            if not before or before[-1:] == b".":
                found[before.lstrip(b".-") + wanted] = None
        at = lowered.find(wanted, end)
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
    first = after[:1]
    return first.isalnum() or first in {b"-", b"_"} or (first == b"." and after[1:].isalnum())


def _before(window: bytes) -> bytes:
    """The characters of names at the end of ``window``, without what an escape left there."""
    start = len(window.rstrip(_NAME_CHARS))
    before = window[start:]
    escape = _rest_of_escape.get(window[start - 1 : start])
    if escape and (rest := escape(before)):
        return before[rest.end() :]
    return before
