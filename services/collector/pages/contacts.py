"""How people are reached, as pages write it: e-mail addresses, phone numbers, addresses on chains."""

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final
from urllib.parse import unquote

from services.contracts import entities
from services.contracts.entities import Entity, Malformed

MAX_CONTACTS: Final = 100
MAX_TRIES: Final = 2_000

# Anchored on the at sign: what stands before it is read backwards, so that text without one costs nothing.
_at = re.compile(rb"@((?:[A-Za-z0-9-]{1,63}+\.){1,10}[A-Za-z][A-Za-z0-9-]{1,62}+)")
_LOCAL_CHARS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-"
_at_sign = re.compile(rb"&(?:#64|#x40|commat);")
_cloudflare = re.compile(rb"(?:data-cfemail=[\"']?|/cdn-cgi/l/email-protection#)([0-9a-f]{8,320}+)")
_NOT_MAIL: Final = frozenset(
    b"avif bmp css eot gif htm html ico jpeg jpg js json map md min mjs mp3 mp4 otf pdf php png scss svg ts tsx ttf txt"
    b" vue webm webp woff xml".split()
)

# These begin with a literal, which is what makes a search fast; what stands before it is looked at afterwards.
_international = re.compile(rb"\+[1-9][0-9]{0,2}[ .()/-]{1,2}[0-9][0-9 .()/-]{5,18}[0-9](?![\w-])")
_chains: Final = (
    ("bitcoin", re.compile(rb"bc1[02-9ac-hj-np-z]{11,71}(?!\w)")),
    ("bitcoin", re.compile(rb"1[1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)")),
    ("bitcoin", re.compile(rb"3[1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)")),
    ("ethereum", re.compile(rb"0x[0-9A-Fa-f]{40}(?!\w)")),
)
_WORD: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.=/-")


def email_addresses(text: bytes) -> list[Entity]:
    """The e-mail addresses in markup or text, those that Cloudflare hides included, each once."""
    text = _at_sign.sub(b"@", text)
    found: dict[str, Entity] = {}
    for match in islice(_at.finditer(text), MAX_TRIES):
        host = match[1]
        if host[host.rfind(b".") + 1 :].lower() in _NOT_MAIL:
            continue
        window = text[max(0, match.start() - 65) : match.start()]
        start = len(window.rstrip(_LOCAL_CHARS))
        # What follows // is the user name of a URL, not of a mailbox.
        if start == len(window) or window[:start].endswith(b"//"):
            continue
        _keep_mail(found, window[start:].decode("ascii"), host.decode("ascii"))
    if b"email-protection" in text:
        for match in islice(_cloudflare.finditer(text), MAX_TRIES):
            local, _, host_name = _uncovered(match[1]).rpartition("@")
            _keep_mail(found, local, host_name)
    return list(found.values())


def phone_numbers(text: bytes, links: Iterable[str] = ()) -> list[Entity]:
    """The international numbers of ``tel:`` links, and those written with + and separators, each once.

    A number in running text counts when its country has numbers of that length (libphonenumber's metadata).
    """
    found: dict[str, Entity] = {}
    for link in links:
        if link[:4].lower() == "tel:" and len(found) < MAX_CONTACTS:
            _keep(found, entities.phone_number, unquote(link[4:]).partition(";")[0])
    for match in islice(_international.finditer(text), MAX_TRIES):
        written = match[0].decode("ascii")
        if len(found) < MAX_CONTACTS and _stands_alone(text, match) and _is_possible(written):
            _keep(found, entities.phone_number, written)
    return list(found.values())


def crypto_addresses(text: bytes) -> list[Entity]:
    """The Bitcoin and Ethereum addresses whose checksum is right, each once."""
    found: dict[str, Entity] = {}
    for chain, pattern in _chains:
        # A checksum takes up to half a millisecond.
        written = dict.fromkeys(
            match[0] for match in islice(pattern.finditer(text), MAX_TRIES) if _stands_alone(text, match)
        )
        for address in islice(written, MAX_CONTACTS):
            _keep(found, entities.crypto_address, chain, address.decode("ascii"))
    return list(found.values())


def _keep_mail(found: dict[str, Entity], local: str, host: str) -> None:
    address = (unquote(local).strip(".-") + "@" + host).lower()
    if address not in found and len(found) < MAX_CONTACTS:
        _keep(found, _mailbox, address)


def _mailbox(address: str) -> Entity:
    entity = entities.email_address(address)
    entities.registered_domain(entity.key[0].rpartition("@")[2])
    return entity


def _keep(found: dict[str, Entity], build: Callable[..., Entity], *parts: str) -> None:
    try:
        entity = build(*parts)
    except Malformed:
        return
    found[entity.key[-1]] = entity


def _stands_alone(text: bytes, match: re.Match[bytes]) -> bool:
    """Whether no word, path or number runs into the match from the left."""
    start = match.start()
    return start == 0 or text[start - 1] not in _WORD


def _is_possible(written: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(written.replace("(0)", ""), None))
    except phonenumbers.NumberParseException:
        return False


def _uncovered(hexadecimal: bytes) -> str:
    """An address that Cloudflare's e-mail obfuscation covers: the first octet is the key of an exclusive or."""
    covered = bytes.fromhex(hexadecimal[: len(hexadecimal) & ~1].decode("ascii"))
    return bytes(octet ^ covered[0] for octet in covered[1:]).decode("utf-8", "replace")
