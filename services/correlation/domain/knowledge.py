"""What Mirage knows of products by itself: published weaknesses of their versions (`knowledge/README.md`)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from services.correlation.domain.versions import version_order
from services.correlation.knowledge import table

if TYPE_CHECKING:
    from services.correlation.domain.world import Place

#: Versions of distributions, which mend what they have without another number.
_DISTRIBUTED: Final = re.compile(
    r"debian|ubuntu|deb\d|~bpo|\.el\d|\.fc\d|amzn|centos|red ?hat|suse|\.mga|alpine|-r\d+$|-\d+build\d",
    re.IGNORECASE,
)
_CPE: Final = re.compile(r"cpe:(?:2\.3:|/)[aoh]:([^:]+):([^:]+)(?::([^:]*))?", re.IGNORECASE)
#: ``1.3.5a`` and ``1.0.1g`` come after the number, and are not the alpha and beta that letters stand for elsewhere.
_LETTERED: Final = re.compile(r"(?<=\d)([a-z]{1,2})$", re.IGNORECASE)
_PIECE: Final = re.compile(r"\d+|[a-z]+", re.IGNORECASE)


class Known(Struct, frozen=True):
    """A published weakness of a version: its CVSS base score, and whether it is known to have been used."""

    cve: str
    cvss: float
    exploited: bool


class _Row(Struct, frozen=True):
    first: str
    mended: str
    known: Known


def known_vulnerabilities(technology_name: str, version: str) -> tuple[Known, ...]:
    """What is published of a product, by its name or CPE, at a version; nothing where the version cannot tell."""
    name = technology_name.casefold()
    if cpe := _CPE.match(name):
        name = _products().get(cpe[2], cpe[2].replace("_", " "))
        version = version or (cpe[3] or "").replace("\\", "").strip("*-")
    if not version[:1].isdigit() or _DISTRIBUTED.search(version):
        return ()
    found = {row.known.cve: row.known for row in _rows().get(name, ()) if _has(row, version)}
    return tuple(sorted(found.values(), key=lambda known: (-known.cvss, known.cve)))


def score_of(cve: str) -> float | None:
    """The CVSS base score of a published weakness, where Mirage knows it."""
    return _scores().get(cve.upper())


def known_values(place: "Place", name: str) -> Sequence[str | float]:
    """The values of ``known.<name>`` of an entity."""
    if place.type != "technology":
        return ()
    key = place.facts.entity.key
    known = known_vulnerabilities(key[0], key[1] if len(key) > 1 else "")
    match name:
        case "cve":
            return [each.cve for each in known]
        case "cvss":
            return [each.cvss for each in known]
        case "worst":
            return [each.cvss for each in known[:1]]
        case "exploited":
            return [each.cve for each in known if each.exploited]
    return ()


def _has(row: _Row, version: str) -> bool:
    if any(_says_less(version, bound) for bound in (row.first, row.mended) if bound):
        return False
    order = version_order(_numbered(version))
    return (not row.first or version_order(_numbered(row.first)) <= order) and order < version_order(
        _numbered(row.mended)
    )


def _says_less(version: str, bound: str) -> bool:
    """Whether a version may be on either side of a bound: it is the beginning of it and no more."""
    said, needed = _PIECE.findall(version.casefold()), _PIECE.findall(bound.casefold())
    # Where only zeros or a patch letter follow, nothing is left out: 1.13 is 1.13.0, and 7.2p1 has its own p.
    rest = [piece for piece in needed[len(said) :] if piece.isdigit() and int(piece)]
    return len(said) < len(needed) and needed[: len(said)] == said and bool(rest)


def _numbered(version: str) -> str:
    """A version with its last letters as a number."""

    def number(found: re.Match[str]) -> str:
        value = 0
        for letter in found[1].casefold():
            value = value * 26 + ord(letter) - ord("a") + 1
        return f".{value}"

    return _LETTERED.sub(number, version)


@lru_cache(maxsize=1)
def _rows() -> dict[str, tuple[_Row, ...]]:
    rows: dict[str, list[_Row]] = {}
    for product, first, mended, cve, cvss, used in table("vulnerabilities"):
        rows.setdefault(product, []).append(_Row(first, mended, Known(cve, float(cvss), used == "yes")))
    return {product: tuple(several) for product, several in rows.items()}


@lru_cache(maxsize=1)
def _scores() -> dict[str, float]:
    return {row.known.cve: row.known.cvss for rows in _rows().values() for row in rows}


@lru_cache(maxsize=1)
def _products() -> dict[str, str]:
    return dict(table("products"))
