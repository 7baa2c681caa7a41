"""Targets from the command line: texts, files with one a line, hosts(5) files, nmap's XML, standard input."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final

from services.cli.text import clean, count
from services.contracts.claims import Malformed
from services.contracts.names import shown
from services.contracts.targets import recognise
from services.kernel.errors import Invalid

#: What stands before the host in a URL and is secret: a user name and maybe a password, up to the last @.
_CREDENTIALS: Final = re.compile(r"^(\s*[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\\]*@")
MAX_TARGETS: Final = 100_000
MAX_FILE: Final = 64_000_000
STDIN: Final = "-"
LISTS: Final = (".txt", ".xml", ".lst", ".csv")

#: A name as hosts(5) has it; the last label is no number.
_host_name = re.compile(r"(?:[A-Za-z0-9_-]+\.)*(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]+\.?").fullmatch
#: Ends of names that are of one machine or one house.
OWN_NAMES: Final = (".localhost", ".localdomain", ".local", ".internal", ".lan", ".home.arpa")
#: Addresses that are no one's in particular, besides what is written in their form (loopback, link, multicast).
OWN_NETWORKS: Final = tuple(
    map(ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"))
)


def read_targets(arguments: Sequence[str], kind: str | None) -> tuple[tuple[str, ...], str]:
    """The targets that the arguments stand for, each once: an argument that is a file stands for what is in it.

    The sentence, if any, says what of hosts files was left out. Without ``kind`` a line of a file is never taken for
    the name of an organisation: whatever another tool prints would be one, and be sent to third parties.

    Raises:
        Invalid: a file that cannot be read, a line in it that is no target, or nothing in any.
    """
    targets: dict[str, None] = {}
    own: list[str] = []
    for argument in arguments:
        if not argument.strip():
            raise Invalid("a target is empty; is a variable unset?")
        if argument == STDIN or names_file(argument, kind):
            targets.update(dict.fromkeys(_read(argument, kind, own)))
        else:
            targets[argument] = None
        if len(targets) > MAX_TARGETS:
            raise Invalid(f"more than {MAX_TARGETS:,} targets")
    if not targets:
        raise Invalid("there is no target in what was given" + (f": {_left_out(own)}" if own else ""))
    return tuple(targets), _left_out(own)


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


def names_file(argument: str, kind: str | None) -> bool:
    """Whether an argument names a file, a pipe or a device: it is one, or is written as only a file can be."""
    if "\0" in argument or len(argument) > 1000:
        return False
    path, written_as_path = Path(argument), argument.startswith(("./", "../", "/", "~/"))
    try:
        if path.is_dir():
            # A folder may be called as a target is; only what cannot be one is the folder.
            if written_as_path or argument.endswith("/") or (kind is None and "." not in argument):
                raise Invalid(f"{argument} is a directory; name a file with one target a line")
            return False
        if path.exists():
            return True
    except OSError as error:
        if written_as_path:
            raise Invalid(f"{argument} cannot be read: {error.strerror}") from error
    if written_as_path or argument.endswith(LISTS):
        raise Invalid(f"there is no file {argument}")
    return False


def _read(argument: str, kind: str | None, own: list[str]) -> Iterator[str]:
    """The targets in a file; what a hosts file has of this machine alone goes to ``own``."""
    file = "standard input" if argument == STDIN else argument
    content = _content(argument, file)
    if content.lstrip()[:5] == b"<?xml" or b"<nmaprun" in content[:2000]:
        yield from _read_nmap(file, content)
        return
    for number, line in enumerate(_lines(file, content), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        where = f"{file}, line {number}"
        hosts = None if kind else _hosts_line(text)
        if hosts is None:
            yield _checked(text.split("\t")[0].strip(), kind, where)
            continue
        own += (said for said in hosts if _is_own(said))
        yield from (_checked(said, kind, where) for said in hosts if not _is_own(said))


def _content(argument: str, file: str) -> bytes:
    try:
        with ExitStack() as stack:
            stream = sys.stdin.buffer if argument == STDIN else stack.enter_context(Path(argument).open("rb"))
            content = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise Invalid(f"{file} is larger than {MAX_FILE // 1_000_000} MB")
    return content


def _lines(file: str, content: bytes) -> list[str]:
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{file}, line {line}: it is not UTF-8; save the file as UTF-8 text") from error


def _hosts_line(text: str) -> list[str] | None:
    """The names of a line of a hosts file, and its address before them; None for another line."""
    first, *names = text.split()
    if not names or _address(first) is None or not all(map(_host_name, names)):
        return None
    return [first, *names]


def _is_own(said: str) -> bool:
    """Whether what a hosts file says is of this machine or its network alone: ``localhost``, 127.0.0.1, 10.1.2.3."""
    address = _address(said)
    if address is None:
        name = said.lower().removesuffix(".")
        return "." not in name or name.endswith(OWN_NAMES)
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or any(address in network for network in OWN_NETWORKS)
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _left_out(own: Sequence[str]) -> str:
    if not own:
        return ""
    more = f" and {count(len(own) - 1, 'other')}" if len(own) > 1 else ""
    return f"{own[0]}{more} of a hosts file are left out: private addresses, and names that only one machine knows"


def _checked(text: str, kind: str | None, where: str) -> str:
    """A line of a file as it is, when it is a target.

    Raises:
        Invalid: it is none, or only an organisation by its form; ``where`` names file and line.
    """
    try:
        found = recognise(_CREDENTIALS.sub(r"\1", text), kind)
    except Malformed as error:
        raise Invalid(f"{where}: {error}") from error
    if kind is None and found.type == "organization":
        raise Invalid(
            f"{where}: {shown(text)} is no target by its form;"
            " a file of organisations needs it said (--type organization)"
        )
    return text


def _read_nmap(file: str, content: bytes) -> Iterator[str]:
    """Addresses and host names of the hosts that were up, from nmap's XML (https://nmap.org/book/nmap-dtd.html)."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise Invalid(f"{file} is not XML: {error.msg}") from error
    if root.tag != "nmaprun":
        raise Invalid(f"{file} is XML, but not nmap's")
    for host in root.iter("host"):
        status = host.find("status")
        if status is not None and status.get("state") != "up":
            continue
        addresses = (each.get("addr") for each in host.iter("address") if each.get("addrtype") in {"ipv4", "ipv6"})
        names = (each.get("name") for each in host.iter("hostname"))
        yield from (str(said) for said in (*addresses, *names) if said)
