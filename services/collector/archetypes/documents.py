"""One document about the subject, and its rows."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote

import msgspec

from services.collector.context import (
    Answer,
    Blocked,
    Collect,
    Context,
    HttpAnswer,
    ParseError,
    RateLimited,
    SourceError,
    Unauthorised,
    Unreachable,
)
from services.contracts.claims import Entity

T = TypeVar("T")
Check = Callable[[HttpAnswer], None]

_CHALLENGES = (b"captcha", b"cf-chl", b"challenge-platform", b"just a moment", b"attention required", b"access denied")
_LIMITS = (b"rate limit", b"ratelimit", b"too many requests", b"quota", b"throttled")
_KEYS = (b"api key", b"apikey", b"api-key", b"unauthorized", b"not authorized", b"authentication")
_HEAD = 20_000


def lookup(
    url: str,
    *,
    check: Check | None = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
    statuses: Iterable[int] = (200, 404),
    max_bytes: int = 10_000_000,
    timeout: float = 60.0,
) -> Collect:
    """GET one document; ``{value}`` in ``url`` is the subject, percent-encoded.

    ``check`` raises what a body says that a status does not; ``key`` is the parameter or (with ``:``) the header that
    carries the provider key when there is one.
    """
    expected = tuple(statuses)

    async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
        answer = await ctx.http.get(
            url.format(value=quote(seen.value, safe="")),
            headers=headers,
            secret=secret(ctx, key),
            statuses=expected,
            max_bytes=max_bytes,
            timeout=timeout,
        )
        if check is not None:
            check(answer)
        yield answer

    return collect


def secret(ctx: Context, name: str | None, form: str = "{key}") -> dict[str, str] | None:
    """The provider key, if there is one, as the parameter or (with ``:``) header ``name``."""
    given = ctx.key() if name else None
    return {name: form.format(key=given)} if name and given else None


def refuse_pages(answer: HttpAnswer) -> None:
    """Raise what markup in place of data stands for: a challenge, a limit, or a server in trouble."""
    if answer.body[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise refusal(answer)


def refusal(answer: HttpAnswer) -> SourceError:
    """The failure that a body stands for when it is not the answer that was asked for."""
    start = answer.body[:_HEAD].lower()
    reason = f"{answer.url}: {' '.join(answer.body[:120].decode('ascii', 'replace').split())!r} in place of an answer"
    if any(word in start for word in _CHALLENGES):
        return Blocked(reason)
    if any(word in start for word in _LIMITS):
        return RateLimited(reason)
    if not start.lstrip().startswith(b"<") and any(word in start for word in _KEYS):
        return Unauthorised(reason)
    return Unreachable(reason)


def rows(answer: HttpAnswer, form: type[T]) -> list[T]:
    """Decode a JSON array; an element that does not fit ``form`` is left out.

    Raises:
        ParseError: the body is not a JSON array.
    """
    try:
        return msgspec.json.decode(answer.json_body(), type=list[form])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        return fitting(answer.json(list[msgspec.Raw]), form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"{answer.url}: {error}") from error


def lines(answer: HttpAnswer, form: type[T]) -> list[T]:
    """Decode one JSON value a line (https://jsonlines.org/); lines that do not fit ``form`` are left out.

    Raises:
        ParseError: no line of a body that is not empty is JSON.
    """
    found: list[T] = []
    read = 0
    decoder = msgspec.json.Decoder(form)
    for line in answer.json_body().splitlines():
        try:
            found.append(decoder.decode(line))
        except msgspec.ValidationError:
            pass
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        read += 1
    if not read and answer.body.strip():
        raise ParseError(f"{answer.url}: not lines of JSON")
    return found


def fitting(raw: Iterable[msgspec.Raw], form: type[T]) -> list[T]:
    """Those JSON values that have ``form``."""
    found: list[T] = []
    decoder = msgspec.json.Decoder(form)
    for value in raw:
        try:
            found.append(decoder.decode(value))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return found
