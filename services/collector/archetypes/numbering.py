"""Areas and carriers of phone numbers, read from the tables of the package ``phonenumbers`` without loading them.

Its own functions load a table whole before the first answer: 150 MB and seconds for areas, 40 MB for carriers. The
tables are files of one prefix a line, so the line of a number is found by looking for it.
"""

import ast
import re
from functools import lru_cache
from importlib.resources import files

_SHORTEST = 2
_LONGEST = 11
_english = re.compile(rb"'en': ?(?:u\()?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")").search


def area_of(number: str) -> str:
    """The area that an E.164 number was given out for, in English; empty when none is known."""
    return _look_up("geodata", number.removeprefix("+"))


def carrier_of(number: str) -> str:
    """The carrier that an E.164 number was given to, in English; empty when none is known."""
    return _look_up("carrierdata", number.removeprefix("+"))


@lru_cache(maxsize=1024)
def _look_up(table: str, digits: str) -> str:
    """What stands at the longest prefix of the digits."""
    beginning = b"\n '%b" % digits[:_SHORTEST].encode()
    best, name = 0, ""
    for file in sorted((files("phonenumbers") / table).iterdir(), key=str):
        lines = file.read_bytes() if file.name.startswith("data") and file.name.endswith(".py") else b""
        if beginning not in lines:
            continue
        for length in range(min(_LONGEST, len(digits)), max(best, _SHORTEST - 1), -1):
            start = lines.find(b"\n '%b':{" % digits[:length].encode())
            english = _english(lines, start, lines.find(b"\n", start + 1)) if start >= 0 else None
            if english:
                best, name = length, str(ast.literal_eval(english[1].decode()))
                break
    return name
