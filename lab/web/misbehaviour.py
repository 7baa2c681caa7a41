"""Answers as a fault makes them."""

import asyncio
import zlib
from collections.abc import Callable
from functools import lru_cache

from lab.faults import Fault
from lab.providers import Request, Response
from lab.web.connection import CHUNK, Connection
from lab.web.messages import encode, head

METADATA = "http://169.254.169.254/latest/meta-data/"
STATUSES = {"unauthorised": 401, "forbidden": 403, "not_found": 404}


async def misbehave(
    connection: Connection, request: Request, response: Response, fault: Fault, done: Callable[[], None]
) -> None:
    """Answer `request`, which would have got `response`, as `fault` says; `done` when the next may be answered."""
    kind = fault.kind
    if kind == "hang":
        return
    if kind == "reset":
        connection.reset()
        return
    if kind in ("endless_body", "endless_headers", "gzip_bomb", "truncated_body", "garbage"):
        await _break_off(connection, response, fault)
        connection.close()
        return
    if kind == "slow":
        await asyncio.sleep(fault.seconds)
    if not connection.closed:
        body = _replaced(request, response, fault)
        connection.write(encode(body))
    done()


def _replaced(request: Request, response: Response, fault: Fault) -> Response:
    """Another answer in place of the right one."""
    kind = fault.kind
    plain = (("Content-Type", "text/plain"),)
    if kind == "rate_limited":
        headers = plain if fault.retry_after is None else (*plain, ("Retry-After", str(fault.retry_after)))
        return Response(status=429, headers=headers, body=b"Too many requests\n")
    if kind == "server_error":
        return Response(status=fault.status, headers=plain, body=b"Something went wrong\n")
    if kind in STATUSES:
        return Response(status=STATUSES[kind], headers=plain, body=kind.encode() + b"\n")
    if kind == "broken_json":
        body = response.body[: len(response.body) * 2 // 3] if len(response.body) > 2 else b'{"broken": ['
        return Response(status=200, headers=(("Content-Type", "application/json"),), body=body)
    if kind == "empty_body":
        return Response(status=200, headers=response.headers)
    if kind == "redirect_loop":
        return Response(status=302, headers=(("Location", request.target),))
    if kind in ("redirect_private", "redirect_elsewhere"):
        return Response(status=302, headers=(("Location", fault.location or METADATA),))
    return response


async def _break_off(connection: Connection, response: Response, fault: Fault) -> None:
    """Send something that does not end as it should."""
    headers = tuple(header for header in response.headers if header[0] != "Content-Encoding")
    if fault.kind == "garbage":
        connection.write(b"\x16\x03\x01SSH-2.0-HTTP/9.9 \xff\xfe\r\n\r\n")
    elif fault.kind == "truncated_body":
        connection.write(head(response.status, headers, len(response.body) + 100) + b"\r\n" + response.body)
    elif fault.kind == "endless_headers":
        connection.write(head(200, headers, None))
        await _pour(connection, b"X-Filler: " + b"a" * 500 + b"\r\n", None)
    elif fault.kind == "endless_body":
        connection.write(head(200, headers, None) + b"Connection: close\r\n\r\n")
        await _pour(connection, b'[{"name_value": "filler.invalid"}],\n', None)
    else:
        encoded = (*headers, ("Content-Encoding", "gzip"), ("Connection", "close"))
        connection.write(head(200, encoded, None) + b"\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff")
        await _pour(connection, zeros(), max(1, fault.size >> 20))
        connection.write(b"\x03\0" + b"\0" * 8)


async def _pour(connection: Connection, piece: bytes, times: int | None) -> None:
    """Write `piece` again and again, as fast as the client takes it, until it leaves or `times` are over."""
    chunk = piece * max(1, CHUNK // len(piece)) if times is None else piece
    written = 0
    while not connection.closed and (times is None or written < times):
        connection.write(chunk)
        written += 1
        await connection.drain()
        await asyncio.sleep(0)


@lru_cache(maxsize=1)
def zeros() -> bytes:
    """A mebibyte of zeros as deflate blocks that can be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
