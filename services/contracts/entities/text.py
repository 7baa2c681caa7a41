"""Normal forms of text that has no grammar of its own: one printable line, a folded line, a token, hexadecimal."""

import re
from unicodedata import normalize

from services.contracts.claims import Malformed
from services.contracts.names import shown

# Controls, bidirectional overrides, lone surrogates and the two non-characters that XML cannot hold.
_unprintable = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_token = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}").fullmatch
_hexadecimal = re.compile(r"[0-9a-f]+").fullmatch


def line(text: str, what: str, *, limit: int = 1024) -> str:
    r"""One line: space collapsed, in Normalization Form C, everything unprintable written as ``\x00`` or ``\u202e``.

    Raises `Malformed`, naming ``what`` it should have been, when nothing or more than ``limit`` characters remain.
    """
    if len(text) > 4 * limit:
        raise Malformed(f"{shown(text)} is too long for {what}")
    plain = " ".join(text.split())
    if not (plain.isascii() and plain.isprintable()):
        plain = normalize("NFC", _unprintable.sub(_escape, plain))
    if not plain:
        raise Malformed(f"{what} cannot be empty")
    if len(plain) > limit:
        raise Malformed(f"{shown(text)} is too long for {what}")
    return plain


def folded(text: str, what: str, *, limit: int = 1024) -> str:
    """As `line`, without difference of case."""
    plain = line(text, what, limit=limit).casefold()
    if not plain.isascii():
        # Folding can leave a text that folds or composes once more; the fixed point is the normal form.
        while (again := line(plain, what, limit=limit).casefold()) != plain:
            plain = again
    return plain


def token(text: str, what: str) -> str:
    """A lower-case identifier such as a platform, a scheme or a registry: letters, digits and ``._+-``, up to 64."""
    word = text.strip().lower()
    if not _token(word):
        raise Malformed(f"{shown(text)} is not {what}")
    return word


def hexadecimal(text: str, what: str, *lengths: int) -> str:
    """Lower-case hexadecimal digits without colons or spaces, of one of ``lengths``."""
    digits = text.lower()
    if not _hexadecimal(digits):
        digits = digits.replace(":", "").replace(" ", "")
    if len(digits) not in lengths or not _hexadecimal(digits):
        raise Malformed(f"{shown(text)} is not {what}")
    return digits


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
