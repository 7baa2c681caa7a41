from collections.abc import Iterable

from services.collector.resolve.answer import Answer


def encode(answers: Iterable[Answer]) -> bytes:
    """A chunk of answers as evidence: found ones with the response as it came, others in a compact form."""
    raise NotImplementedError


def decode(transcript: bytes) -> list[Answer]:
    """The answers again, compact ones without ``wire``; raises `ParseError`."""
    raise NotImplementedError
