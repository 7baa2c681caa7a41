"""Texts by strangers, as formats can hold them: what one cannot is written as an escape that says what it was."""

import re
from typing import Any, Final

#: Half a pair of UTF-16, which no encoding of Unicode has.
_LONE: Final = re.compile("[\ud800-\udfff]")
#: What XML 1.0 cannot hold in any way (section 2.2), and controls that it can but editors cannot show.
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
#: Marks that turn the direction of text round, by which a cell seems to say something else.
_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_IN_XML: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("\t"): "&#9;",
                  ord("\n"): "&#10;", ord("\r"): "&#13;"}  # fmt: skip
_NEEDS: Final = re.compile('[&<>"\t\n\r]')
#: What a spreadsheet looks past before it looks for a formula.
_BEFORE: Final = " \t\r\n\v\f\"'\u00a0\u200b\u200c\u200d\u2060\u3000\ufeff"
#: How a formula begins, also in full width, as some spreadsheets take it (OWASP, CSV Injection).
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def sound(text: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot hold."""
    return text if text.isascii() else _LONE.sub(_escape, text)


def sound_all(value: Any) -> Any:
    """The same of all texts in lists and objects."""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, dict):
        return {sound(name): sound_all(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [sound_all(each) for each in value]
    return value


def in_xml(text: str) -> str:
    """The text as the value of an attribute of XML, in quotes or between tags."""
    if not (text.isascii() and text.isprintable()):
        text = _NOT_IN_XML.sub(_escape, text)
    return text.translate(_IN_XML) if _NEEDS.search(text) else text


def in_cell(text: str) -> str:
    """The text as people shall see it in a cell: nothing in it turns the rest round."""
    if text.isascii() and text.isprintable():
        return text
    return _TURNING.sub(_escape, _NOT_IN_XML.sub(_escape, text))


def unformulated(text: str) -> str:
    """A cell of CSV that no spreadsheet takes for a formula, whatever it looks past at its beginning."""
    plain = text.replace("\r", "\\r")  # the one break that csv leaves unquoted
    if not plain or (plain[0].isalnum() and plain[0] < "\x7f"):
        return plain
    first = plain.lstrip(_BEFORE)
    return f"'{plain}" if plain[0] in "\t\n" or first.startswith(_FORMULA) else plain


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
