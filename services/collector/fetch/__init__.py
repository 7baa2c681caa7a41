"""HTTP/1.1 (RFC 9110, 9112) on egress: what is checked is what is dialled, and all is bounded."""

from services.collector.fetch.client import Client, Request, Response

__all__ = ["Client", "Request", "Response"]
