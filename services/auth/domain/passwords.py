"""What a good password is."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from services.kernel.errors import Invalid

SHORTEST_PASSWORD: Final = 12
FEWEST_CHARACTERS: Final = 5
FEWEST_PIECES: Final = 8

#: What passwords that many people have are made of, beside what can be counted out, and signs for letters in them.
_WORDS: Final = (
    "password", "passwort", "passw", "letmein", "welcome", "iloveyou", "admin", "administrator", "login", "secret",
    "changeme", "default", "master", "monkey", "dragon", "football", "baseball", "princess", "sunshine", "superman",
    "batman", "trustno", "whatever", "hello", "freedom", "shadow", "michael", "jordan", "charlie", "summer", "winter",
    "spring", "autumn", "january", "february", "august", "september", "october", "november", "december", "monday",
    "friday", "root", "user", "test", "guest", "pass", "love", "mirage",
)  # fmt: skip
_SIGNS: Final = str.maketrans("@40!1|3$57", "aaoiiiesst")
#: Rows and columns of keys, of English, German and French keyboards.
_ROWS: Final = (
    "1234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qsdfghjklm", "zxcvbnm", "yxcvbnm", "1qaz",
    "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "1qay", "6zhn",
)  # fmt: skip
_RIGHT: Final = frozenset(pair for row in _ROWS for pair in pairwise(row))
#: How a run goes on from one sign to the next.
_STEPS: Final[tuple[Callable[[str, str], bool], ...]] = (
    lambda one, other: one == other,
    lambda one, other: ord(other) - ord(one) == 1,
    lambda one, other: ord(one) - ord(other) == 1,
    lambda one, other: (one, other) in _RIGHT,
    lambda one, other: (other, one) in _RIGHT,
)
#: What is shorter is by chance what it is.
_SHORTEST_PIECE: Final = 3


def check_password(password: str, *about: str) -> None:
    """See that a password is none that somebody tries first; ``about`` is what is known of whose it is.

    Length and no rules about kinds of characters, as NIST SP 800-63B-4 (3.1.1.2) has it.

    Raises:
        Invalid: it says why.
    """
    plain = password.lower()
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(
            f"a password has {SHORTEST_PASSWORD} characters at least: a few words are easier than a few signs"
        )
    if len(set(plain)) < FEWEST_CHARACTERS:
        raise Invalid("this password is the same few characters over and over")
    if pieces_of(password) < FEWEST_PIECES:
        raise Invalid("this password is one that is tried first: a word again, a row of keys, or what many others use")
    for known in ("mirage", *about):
        for part in (known.lower(), *known.lower().replace("@", " ").split()):
            if len(part) > 3 and len(plain.replace(part, "")) < SHORTEST_PASSWORD // 2:
                raise Invalid("this password is little more than a name that others know")


def pieces_of(password: str) -> int:
    """Of how many pieces a password is for who guesses: signs, words that many have in theirs, runs along the alphabet
    or a row of keys, and copies of what stands before.
    """
    plain, spelt = password.lower(), password.lower().translate(_SIGNS)
    pieces = place = 0
    while place < len(plain):
        word = max((len(each) for each in _WORDS if spelt.startswith(each, place)), default=0)
        found = max(word, _run(plain, place), _copy(plain, place))
        place += found if found >= _SHORTEST_PIECE else 1
        pieces += 1
    return pieces


def _run(plain: str, place: int) -> int:
    """How far each sign is the next one of the alphabet or of a row of keys, always in one direction, or the same."""
    return max(_goes_on(plain, place, step) for step in _STEPS)


def _goes_on(plain: str, place: int, step: Callable[[str, str], bool]) -> int:
    end = place + 1
    while end < len(plain) and step(plain[end - 1], plain[end]):
        end += 1
    return end - place


def _copy(plain: str, place: int) -> int:
    """How much of what comes has come before."""
    end = place + _SHORTEST_PIECE
    while end <= len(plain) and plain.find(plain[place:end]) < place:
        end += 1
    return end - 1 - place
