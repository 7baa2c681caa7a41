"""Tokens that are shown once: recognisable wherever they leak, checked before anybody is asked, kept as a digest.

``mirage_<kind>_``, 32 random bytes and their CRC-32, both in base 62: whoever scans for secrets finds them by their
beginning and tells by the checksum that they are real, as GitHub's do ("Behind GitHub's new authentication token
formats", 2021). A token has 128 bits of chance at least, so that a plain digest of it cannot be guessed back.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BYTES: Final = 32
_RANDOM: Final = 43
_CHECK: Final = 6
_ANYWHERE: Final = re.compile(r"mirage_([a-z]{3})_[0-9A-Za-z]+", re.ASCII)
_FORM: Final = re.compile(rf"mirage_([a-z]{{3}})_([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECK}}})", re.ASCII)


def make_token(kind: str, beginning: bytes = b"") -> str:
    """A new token; ``kind`` has three small letters. Its content begins with some bytes of the caller's, 16 at most."""
    content = beginning + secrets.token_bytes(_BYTES - len(beginning))
    chance = _base62(int.from_bytes(content), _RANDOM)
    return f"mirage_{kind}_{chance}{_check(chance)}"


def content_of(token: str) -> bytes:
    """The 32 bytes of what `kind_of` knows as a token."""
    found = _FORM.fullmatch(token)
    assert found is not None
    number = 0
    for digit in found[2]:
        number = 62 * number + _ALPHABET.index(digit)
    return number.to_bytes(_BYTES + 1)[1:]


def kind_of(text: str) -> str:
    """The kind of a token; nothing for what cannot be one, which nobody need look for."""
    found = _FORM.fullmatch(text)
    return found[1] if found and _check(found[2]) == found[3] else ""


def without_tokens(text: str) -> str:
    """A text as it may be logged: whatever looks like a token is left out but for its kind."""
    return _ANYWHERE.sub(r"mirage_\1_***", text)


def digest_of(token: str) -> bytes:
    """What is kept of a token: 32 bytes."""
    return hashlib.sha256(token.encode()).digest()


def _check(chance: str) -> str:
    return _base62(zlib.crc32(chance.encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
