"""Plain clients that reach a running lab by its dial table's addresses."""

import asyncio
import socket
import ssl
from typing import Any

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdatatype
from aiohttp.abc import AbstractResolver, ResolveResult

from lab.dial import loopback
from lab.running import Lab

DROPPED = (OSError, aiohttp.ClientError, ssl.SSLError)


async def ask(
    lab: Lab, name: str, kind: str = "A", *, server: str = "", tcp: bool = False, **options: Any
) -> dns.message.Message:
    """Ask the resolver, or the name server at a logical address."""
    host, port = lab.resolver_address
    query = dns.message.make_query(name, kind, **options)
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await send(query, loopback(server) if server else host, port=port, timeout=3)


def values(message: dns.message.Message, kind: str) -> set[str]:
    """The values of one type in the answer section."""
    wanted = dns.rdatatype.from_text(kind)
    return {value.to_text() for rrset in message.answer if rrset.rdtype == wanted for value in rrset}


def rcode(message: dns.message.Message) -> str:
    return dns.rcode.to_text(message.rcode())


class LabResolver(AbstractResolver):
    """Resolves names in the lab's DNS and dials through its table."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = await ask(self.lab, host)
        addresses = sorted(values(answer, "A"))
        if not addresses:
            raise OSError(f"{host} does not resolve")
        real = [self.lab.dial(ip, port) for ip in addresses]
        return [
            ResolveResult(hostname=host, host=ip, port=at, family=socket.AF_INET, proto=0, flags=0) for ip, at in real
        ]

    async def close(self) -> None:
        """Nothing is held."""


def session(lab: Lab, *, verify: bool = True) -> aiohttp.ClientSession:
    """A client that trusts the lab's authority; no redirect is followed unless asked for."""
    context = ssl.create_default_context(cafile=str(lab.authority.file))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connector = aiohttp.TCPConnector(resolver=LabResolver(lab), ssl=context, force_close=True, use_dns_cache=False)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5))


async def fetch(client: aiohttp.ClientSession, url: str, **options: Any) -> tuple[int, dict[str, list[str]], str]:
    """(status, headers by lower-case name, text) of a GET."""
    async with client.get(url, allow_redirects=False, **options) as response:
        headers: dict[str, list[str]] = {}
        for name, value in response.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        return response.status, headers, await response.text()


async def presented(lab: Lab, ip: str, name: str | None) -> bytes:
    """The certificate (DER) that an address presents for a name in SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = lab.dial(ip, 443)
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name or "")
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()


async def say(lab: Lab, ip: str, port: int, text: bytes = b"") -> bytes:
    """Connect, say something, and hear everything until the other side closes (or its first words)."""
    host, at = lab.dial(ip, port)
    reader, writer = await asyncio.open_connection(host, at)
    try:
        writer.write(text)
        return await asyncio.wait_for(reader.read() if text else reader.read(1024), 3)
    finally:
        writer.close()
