"""What a person wants looked at, recognised by its form.

In this order: URL, network, address, autonomous system, e-mail address, ``@user``, ``+phone``, crypto address with its
checksum, digest of a file, host name, and last the name of an organisation: two words or more with a letter among
them, ``(GB)`` after it for the country. A single word without a dot is nothing by its form alone; the type says it.
"""

import re
from collections.abc import Callable

from services.contracts.claims import Entity, Malformed
from services.contracts.entities import (
    asn,
    crypto_address,
    domain,
    email_address,
    file,
    hostname,
    ip_address,
    name,
    netblock,
    organization,
    phone_number,
    unwildcard,
    url,
    username,
)
from services.contracts.entities.chains import chain_of
from services.contracts.names import shown

_MAX_TARGET = 2048

_digest = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128}").fullmatch
_asn = re.compile(r"[Aa][Ss][Nn]? ?[0-9]+").fullmatch
_network = re.compile(r"[0-9a-fA-F:.]+/[0-9]+").fullmatch
_address = re.compile(r"[0-9.]+|\[?[0-9a-fA-F.]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*(?:%.*)?\]?").fullmatch
_named_with_country = re.compile(r"(.+?) ?\(([A-Za-z]{2})\)").fullmatch
_port = re.compile(r"(?=[^\s/@:]+?\.[^\s/@:])[^\s/@:]++:[0-9]{1,5}").fullmatch


def recognise(text: str, type: str | None = None) -> Entity:
    """The entity that a person means by a text, of ``type`` when they said it.

    Raises `Malformed` with one sentence that says why it is none.
    """
    plain = text.strip()
    if not plain:
        raise Malformed("a target cannot be empty")
    if len(plain) > _MAX_TARGET:
        raise Malformed(f"{shown(plain)} is too long for a target")
    if not plain.isprintable():
        raise Malformed(f"{shown(plain)} has characters in it that cannot be seen; a target has none")
    if type is None:
        return _by_form(plain)
    as_type = TARGET_TYPES.get(type)
    if as_type is None:
        raise Malformed(f"{shown(type)} is not a type of target; there are {', '.join(TARGET_TYPES)}")
    return as_type(plain)


def _by_form(text: str) -> Entity:
    if "://" in text:
        return url(text)
    if _network(text):
        return netblock(text)
    if _address(text):
        return ip_address(text.removeprefix("[").removesuffix("]"))
    if _asn(text):
        return asn(text)
    if text.startswith("@"):
        return username(text)
    if "@" in text:
        return email_address(text)
    if text.startswith("+"):
        return phone_number(text)
    chain = chain_of(text)
    if chain:
        return crypto_address(chain, text)
    if _digest(text):
        return file(text)
    return _name_or_organisation(text)


def _name_or_organisation(text: str) -> Entity:
    if _port(text):
        raise Malformed(f"{shown(text)} has a port; a target is a host name, or a URL with http:// before it")
    if " " in text:
        if "/" in text or not any(char.isalpha() for char in text) or text.startswith("-"):
            raise Malformed(f"{shown(text)} is no target by its form; a list of targets has one on each line")
        return _organisation(text)
    if "/" in text or "\\" in text:
        raise Malformed(f"{shown(text)} is no target by its form; a URL begins with http:// or https://")
    if text.startswith("*."):
        raise Malformed(f"{shown(text)} is a rule of a scope; the target is {shown(unwildcard(text))}")
    if "." not in text and text.isascii():
        raise Malformed(
            f"{shown(text)} is no target by its form; a user name or an organisation "
            "needs its type said (--type username, --type organization)"
        )
    return name(text)


def _organisation(text: str) -> Entity:
    found = _named_with_country(text)
    return organization("name", found[1], found[2]) if found else organization("name", text)


def _crypto_address(text: str) -> Entity:
    chain = chain_of(text)
    if chain is None:
        raise Malformed(f"{shown(text)} has the checksum of no chain known here")
    return crypto_address(chain, text)


#: What may be said with ``--type``, and how a text is read then.
TARGET_TYPES: dict[str, Callable[[str], Entity]] = {
    "domain": domain,
    "hostname": hostname,
    "ip_address": ip_address,
    "netblock": netblock,
    "asn": asn,
    "url": url,
    "email_address": email_address,
    "username": username,
    "phone_number": phone_number,
    "organization": _organisation,
    "crypto_address": _crypto_address,
    "file": file,
}
