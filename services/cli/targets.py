"""Targets from the command line: texts, files with one a line, nmap's XML."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from services.cli.text import clean, count
from services.kernel.errors import Invalid

#: What stands before the host in a URL and is secret: a user name and maybe a password, up to the last @.
_CREDENTIALS: Final = re.compile(r"^(\s*[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\\]*@")
MAX_TARGETS: Final = 100_000
MAX_FILE: Final = 64_000_000


def read_targets(arguments: Sequence[str], kind: str | None) -> tuple[tuple[str, ...], str | None]:
    """The targets that the arguments stand for, each once: an argument that is a file stands for what is in it.

    Raises:
        Invalid: a file that cannot be read, or nothing in any.
    """
    targets: dict[str, None] = {}
    for argument in arguments:
        path = Path(argument)
        if looks_like_file(argument, path):
            targets.update(dict.fromkeys(_read(path)))
        else:
            targets[argument] = None
        if len(targets) > MAX_TARGETS:
            raise Invalid(f"more than {MAX_TARGETS:,} targets")
    if not targets:
        raise Invalid("there is no target in what was given")
    return tuple(targets), kind


def without_credentials(targets: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The targets, their URLs without user name and password, and a sentence that says so where there were any."""
    plain = [_CREDENTIALS.sub(r"\1", target) for target in targets]
    bared = [after for before, after in zip(targets, plain, strict=True) if before != after]
    if not bared:
        return tuple(plain), ""
    more = f" and {count(len(bared) - 1, 'other target')}" if len(bared) > 1 else ""
    return tuple(dict.fromkeys(plain)), (
        f"the user name and password in {clean(bared[0].strip()[:200])}{more} are left out:"
        " nobody is logged in to, and nothing secret is kept"
    )


def looks_like_file(argument: str, path: Path) -> bool:
    """Whether an argument names a file: it is one, or is written as only a file can be."""
    if "\0" in argument or len(argument) > 1000:
        return False
    if path.is_file():
        return True
    if argument.startswith(("./", "../", "/", "~/")) or argument.endswith((".txt", ".xml", ".lst", ".csv")):
        raise Invalid(f"there is no file {argument}")
    return False


def _read(path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise Invalid(f"{path} is larger than {MAX_FILE // 1_000_000} MB")
        content = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    if content.lstrip()[:5] == b"<?xml" or b"<nmaprun" in content[:2000]:
        yield from _read_nmap(path, content)
        return
    for line in content.decode("utf-8-sig", "replace").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            yield text.split("\t")[0].strip()


def _read_nmap(path: Path, content: bytes) -> Iterator[str]:
    """Addresses and host names of the hosts that were up, from nmap's XML (https://nmap.org/book/nmap-dtd.html)."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise Invalid(f"{path} is not XML: {error}") from error
    if root.tag != "nmaprun":
        raise Invalid(f"{path} is XML, but not nmap's")
    for host in root.iter("host"):
        status = host.find("status")
        if status is not None and status.get("state") != "up":
            continue
        addresses = (each.get("addr") for each in host.iter("address") if each.get("addrtype") in {"ipv4", "ipv6"})
        names = (each.get("name") for each in host.iter("hostname"))
        yield from (str(said) for said in (*addresses, *names) if said)
