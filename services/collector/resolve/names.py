"""Names and character strings between their wire form and the presentation form of RFC 1035 5.1."""

from typing import Final

LONGEST_NAME: Final = 255
LONGEST_LABEL: Final = 63

PLAIN_NAME: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-_.*/+=:"
PLAIN_STRING: Final = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
SPECIAL_IN_NAME: Final = b'.\\"();@$'
MOST_POINTERS: Final = 64
MOST_SUFFIXES: Final = 10_000
SUFFIXES: Final[dict[str, bytes]] = {}
LENGTHS: Final = tuple(bytes([length]) for length in range(LONGEST_LABEL + 1))


class BadMessage(Exception):
    """Bytes that are no DNS message, not the answer to the question asked, or a name that cannot be."""


def normalise(name: str) -> str:
    """Lower case, without the final dot; the root is "."."""
    lowered = name.lower()
    if lowered.endswith(".") and len(lowered) > 1 and not lowered.endswith(("\\.", "..")):
        return lowered[:-1]
    return lowered


def to_wire(name: str) -> bytes:
    """The uncompressed wire form of a normalised name; raises `BadMessage` when it has none."""
    first, _, rest = name.partition(".")
    suffix = SUFFIXES.get(rest)
    if suffix is None or not 0 < len(first) <= LONGEST_LABEL or not first.isascii() or "\\" in first:
        return label_by_label(name)
    wire = LENGTHS[len(first)] + first.encode() + suffix
    if len(wire) > LONGEST_NAME:
        raise BadMessage("a name of more than 255 bytes")
    return wire


def label_by_label(name: str) -> bytes:
    """As `to_wire`; keeps the part after the first label, because its siblings are likely to be asked for next."""
    if name == ".":
        return b"\0"
    try:
        raw = name.encode("ascii")
    except UnicodeEncodeError:
        raise BadMessage(f"{name!r} is not ASCII") from None
    parts = []
    for label in unescaped(raw) if b"\\" in raw else raw.split(b"."):
        if not 0 < len(label) <= LONGEST_LABEL:
            raise BadMessage(f"a label of {len(label)} bytes in {name!r}")
        parts.append(LENGTHS[len(label)] + label)
    wire = b"".join([*parts, b"\0"])
    if len(wire) > LONGEST_NAME:
        raise BadMessage("a name of more than 255 bytes")
    if b"\\" not in raw:
        if len(SUFFIXES) >= MOST_SUFFIXES:
            SUFFIXES.clear()
        SUFFIXES[name.partition(".")[2]] = wire[len(parts[0]) :]
    return wire


def unescaped(raw: bytes) -> list[bytes]:
    labels, label, at = [], bytearray(), 0
    while at < len(raw):
        byte = raw[at : at + 1]
        if byte == b".":
            labels.append(bytes(label))
            label.clear()
        elif byte == b"\\" and raw[at + 1 : at + 4].isdigit() and len(raw) >= at + 4:
            code = int(raw[at + 1 : at + 4])
            if code > 0xFF:
                raise BadMessage(f"\\{code} is not a byte")
            label.append(code)
            at += 3
        elif byte == b"\\":
            at += 1
            label += raw[at : at + 1]
        else:
            label += byte
        at += 1
    return [*labels, bytes(label)]


def read_name(wire: bytes, at: int) -> tuple[str, int]:
    """The name at ``at``, decompressed and normalised, and where what follows begins.

    Raises:
        BadMessage: a bad label or a pointer that does not lead backwards, so that none can loop.
        IndexError: the message ends within the name.
    """
    labels: list[bytes] = []
    size = 1
    after = -1
    limit = at
    pointers = 0
    while length := wire[at]:
        if length <= LONGEST_LABEL:
            end = at + 1 + length
            labels.append(wire[at + 1 : end])
            size += length + 1
            at = end
            if size > LONGEST_NAME:
                raise BadMessage("a name of more than 255 bytes")
        elif length >= 0xC0:
            if after < 0:
                after = at + 2
            at = (length & 0x3F) << 8 | wire[at + 1]
            pointers += 1
            if at >= limit or pointers > MOST_POINTERS:
                raise BadMessage("a compression pointer that does not lead backwards, or too many")
            limit = at
        else:
            raise BadMessage("a label of unknown kind")
    if after < 0:
        after = at + 1
    joined = b".".join(labels).lower()
    if not joined.translate(None, PLAIN_NAME) and joined.count(b".") == len(labels) - 1:
        return joined.decode("ascii"), after
    return ".".join(escaped_label(label.lower()) for label in labels) or ".", after


def escaped_label(label: bytes) -> str:
    return "".join(
        f"\\{code:03d}" if not 0x20 < code < 0x7F else f"\\{chr(code)}" if code in SPECIAL_IN_NAME else chr(code)
        for code in label
    )


def quoted(string: bytes) -> str:
    """A character string in quotes."""
    if not string.translate(None, PLAIN_STRING):
        return f'"{string.decode("ascii")}"'
    return (
        '"'
        + "".join(
            f"\\{chr(code)}" if code in b'"\\' else chr(code) if 0x20 <= code < 0x7F else f"\\{code:03d}"
            for code in string
        )
        + '"'
    )


def unquoted(data: str) -> tuple[bytes, ...]:
    """The character strings of TXT data as `quoted` wrote them."""
    strings: list[bytes] = []
    at = 0
    while (at := data.find('"', at)) >= 0:
        string = bytearray()
        at += 1
        while at < len(data) and data[at] != '"':
            if data[at] == "\\" and data[at + 1 : at + 4].isdecimal():
                string.append(int(data[at + 1 : at + 4]) & 0xFF)
                at += 4
            else:
                at += data[at] == "\\"
                string += data[at : at + 1].encode("latin-1", "replace")
                at += 1
        strings.append(bytes(string))
        at += 1
    return tuple(strings)
