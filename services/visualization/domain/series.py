"""Counts by two things, for histograms and matrices."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from services.contracts.claims import Entity
from services.contracts.facts import OUTCOMES
from services.contracts.findings import SEVERITIES
from services.contracts.resources.correlation import FindingRow
from services.contracts.resources.scans import SourceState
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts
from services.contracts.resources.visualization import Cell, Series, SeriesName
from services.contracts.scope import ROLES

#: Rows and columns beyond these are one: ``other``.
MOST_ROWS: Final = 60
MOST_COLUMNS: Final = 30
OTHER: Final = "other"
UNKNOWN: Final = "unknown"
#: What an address has a country and a provider by, and what those are of.
NETWORKS: Final = frozenset({"ip_address", "netblock", "asn"})
#: The roles of addresses that belong to what is looked at.
NEAR: Final = frozenset({"target", "in_scope", "affiliate"})
#: How far up networks a country or a provider is looked for: address, its network, the one around, its system.
FURTHEST: Final = 6

Counts = Mapping[tuple[str, str], int]


def series(of: SeriesName, counts: Counts, columns: Sequence[str] = ()) -> Series:
    """Return counts as rows and columns, the largest rows first; ``columns`` in this order, where there are such."""
    rows = _largest(((row, count) for (row, _), count in counts.items()), MOST_ROWS)
    found = _largest(((column, count) for (_, column), count in counts.items()), MOST_COLUMNS)
    order = [*(name for name in columns if name in found), *(name for name in found if name not in columns)]
    row_of, column_of = ({name: place for place, name in enumerate(names)} for names in (rows, order))
    cells: Counter[tuple[int, int]] = Counter()
    for (row, column), count in counts.items():
        cells[row_of.get(row, len(rows) - 1), column_of.get(column, len(order) - 1)] += count
    return Series(
        of=of,
        rows=tuple(rows),
        columns=tuple(order),
        cells=tuple(Cell(*place, count) for place, count in sorted(cells.items()) if count),
        total=sum(counts.values()),
    )


def _largest(counted: Iterable[tuple[str, int]], most: int) -> list[str]:
    total: Counter[str] = Counter()
    for name, count in counted:
        total[name] += count
    order = sorted(total, key=lambda name: (name == OTHER, -total[name], name))
    if len(order) <= most:
        return order
    return [*[name for name in order if name != OTHER][: most - 1], OTHER]


class TypesCounted:
    """Entities by type and by role."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, facts: Facts) -> None:
        self._counts.update((each.entity.type, each.role or UNKNOWN) for each in facts.entities)

    def made(self) -> Series:
        return series("types", self._counts, ROLES)


class ProvidersCounted:
    """Addresses by country and by provider: their own, or those of the networks that they are in.

    What is kept of a scan are its networks and the names of organisations. ``all``: also addresses that are none of the
    target's.
    """

    def __init__(self, *, all: bool = False) -> None:
        self._all = all
        self._addresses: set[bytes] = set()
        self._country: dict[bytes, str] = {}
        self._provider: dict[bytes, Entity] = {}
        self._names: dict[bytes, str] = {}
        self._within: dict[bytes, list[bytes]] = {}

    def add(self, facts: Facts) -> None:
        for each in facts.entities:
            if each.entity.type in NETWORKS:
                self._add_network(each)
            elif each.entity.type == "organization":
                self._names.update(
                    (each.entity.id, str(value.value)) for value in each.attributes if value.name == "display_name"
                )
        for relation in facts.relations:
            if relation.source.type in NETWORKS:
                self._add_relation(relation)

    def _add_network(self, network: EntityFacts) -> None:
        if network.entity.type == "ip_address" and (self._all or network.role in NEAR):
            self._addresses.add(network.entity.id)
        for value in network.attributes:
            if value.name == "country" and isinstance(value.value, str):
                self._country.setdefault(network.entity.id, value.value)

    def _add_relation(self, relation: RelationFacts) -> None:
        match relation.type:
            case "located_at" if country := country_of(relation.target):
                self._country.setdefault(relation.source.id, country)
            case "operated_by":
                self._provider.setdefault(relation.source.id, relation.target)
            case "part_of" | "announced_by":
                self._within.setdefault(relation.source.id, []).append(relation.target.id)

    def made(self) -> Series:
        counted: Counter[tuple[str, str]] = Counter()
        for address in self._addresses:
            around = self._around(address)
            country = next((self._country[each] for each in around if each in self._country), UNKNOWN)
            provider = next((self._provider[each] for each in around if each in self._provider), None)
            counted[country, self._name(provider)] += 1
        return series("providers", counted)

    def _name(self, provider: Entity | None) -> str:
        return UNKNOWN if provider is None else self._names.get(provider.id, provider.value)

    def _around(self, address: bytes) -> list[bytes]:
        """An address and what it is within, the nearest first."""
        around, step = [address], [address]
        for _ in range(FURTHEST):
            step = sorted({up for each in step for up in self._within.get(each, ())} - set(around))
            around += step
        return around


def country_of(place: Entity) -> str:
    """The country that a location says it is in, or nothing."""
    match place.key:
        case ("country", code, *_):
            return code
        case ("region", region, *_):
            return region.partition("-")[0]
        case (_, _, country):
            return country
        case _:
            return ""


def outcomes(sources: Iterable[SourceState]) -> Series:
    """Work items by module and by how they ended."""
    counts: dict[tuple[str, str], int] = {}
    for source in sources:
        for outcome, count in source.outcomes.items():
            counts[source.module, outcome] = counts.get((source.module, outcome), 0) + count
    return series("outcomes", counts, OUTCOMES)


class SeveritiesCounted:
    """Findings by category and by severity, the worst first."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, findings: Iterable[FindingRow]) -> None:
        self._counts.update((each.category, each.severity) for each in findings)

    def made(self) -> Series:
        return series("severities", self._counts, SEVERITIES[::-1])
