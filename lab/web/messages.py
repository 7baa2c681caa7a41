"""HTTP/1.1 responses on the wire (RFC 9112)."""

from http import HTTPStatus

from lab.providers import Response

REASONS = {status.value: status.phrase for status in HTTPStatus}


def head(status: int, headers: tuple[tuple[str, str], ...], length: int | None) -> bytes:
    """A status line and headers, without the empty line that ends them."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}", *(f"{name}: {value}" for name, value in headers)]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n"


def encode(response: Response) -> bytes:
    """The whole response on the wire."""
    return head(response.status, response.headers, len(response.body)) + b"\r\n" + response.body
