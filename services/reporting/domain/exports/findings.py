"""Findings that wait until what they are about was seen."""

from typing import Final

import msgspec

from services.contracts.resources.correlation import FindingView
from services.reporting.domain.exports.texts import sound_all

_encode = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(FindingView).decode


def packed(view: FindingView) -> bytes:
    """A finding as bytes, see `unpacked`."""
    try:
        return _encode(view)
    except UnicodeEncodeError:
        return _encode(sound_all(msgspec.to_builtins(view)))


def unpacked(found: bytes) -> FindingView:
    return _decode(found)
