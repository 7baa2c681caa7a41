"""Host names as sequences of pieces: words and numbers, each with the separator before it."""

import re
from collections import Counter
from collections.abc import Iterable

from services.collector.naming.vocabulary import CLASSES, ENVIRONMENTS, WHOLE

_REGION = (
    r"(?:us|eu|ap|sa|ca|af|me|cn|il|mx)-(?:gov-)?(?:(?:north|south)?(?:east|west)|north|south|central)(?:-?[0-9])?"
)
_ALONE = rf"(?:{_REGION}|{'|'.join(WHOLE)}|v[0-9]{{1,2}})(?![a-z0-9])"
_piece = re.compile(rf"[._-]*(?:{_ALONE}|[a-z]+|[0-9]+)")
_noise = re.compile(r"[0-9a-f]{12}|[0-9]{7}|(?:[0-9]+[a-z]+){4}|(?:[0-9]{1,3}[.-]){3}[0-9]|[a-z0-9]{24}|xn--").search

_MIN_PART = 3
_ATTACHED = frozenset(word for word in CLASSES if len(word) >= _MIN_PART and word.isalpha())


def is_noise(name: str) -> bool:
    """Whether a machine made the name: hashes, serial numbers, addresses; nothing follows from those."""
    return bool(_noise(name)) or name.count(".") > 8


def split(name: str) -> list[str]:
    """The pieces of a name, ``["api", "-dev", "2", ".eu"]``; joined they are the name again."""
    return _piece.findall(name)


def text_of(piece: str) -> str:
    """The word or number without its separator."""
    return piece.lstrip("._-")


def count_words(names: Iterable[list[str]]) -> Counter[str]:
    """How often each word stands alone between separators or digits."""
    return Counter(text_of(piece) for pieces in names for piece in pieces if not piece[-1].isdigit())


def cut(pieces: list[str], words: Counter[str]) -> list[str]:
    """The pieces with words taken apart that are written together, as in ``paymentsapi`` and ``devportal``."""
    found: list[str] = []
    for piece in pieces:
        at = _seam(piece, words) if len(piece) > 2 * _MIN_PART - 1 and piece[-1].isalpha() else 0
        found += (piece[:at], piece[at:]) if at else (piece,)
    return found


def _seam(piece: str, words: Counter[str]) -> int:
    word = text_of(piece)
    if word in CLASSES:
        return 0
    offset = len(piece) - len(word)
    for at in range(_MIN_PART, len(word) - _MIN_PART + 1):
        head, tail = word[:at], word[at:]
        if (tail in _ATTACHED and (head in words or head in _ATTACHED)) or (head in ENVIRONMENTS and tail in words):
            return offset + at
    return 0
