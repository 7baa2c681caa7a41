"""Counts what a scan has: by two things, over time, over the world."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import lru_cache
from importlib.resources import files
from typing import Final, Protocol, TypeVar
from uuid import UUID

import msgspec

from services.contracts.endpoints import GET_SCAN, GET_STORED, LIST_FINDINGS, READ_FACTS
from services.contracts.resources import ScanId, ScanRef
from services.contracts.resources.correlation import FindingRow, FindingsQuery
from services.contracts.resources.storage import Facts, FactsQuery
from services.contracts.resources.visualization import (
    ChartQuery,
    MapQuery,
    MapView,
    Series,
    SeriesQuery,
    Timeline,
    TimelineQuery,
    World,
)
from services.kernel.calls import Caller, Piece
from services.kernel.service import Ports
from services.visualization.domain.series import ProvidersCounted, SeveritiesCounted, TypesCounted, outcomes
from services.visualization.domain.world import Places
from services.visualization.usecases import kept
from services.visualization.usecases.making import begun, making_of

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)

#: Part of what is kept under: another number where the same is counted in another way.
VERSION: Final = 1
#: Findings in a page, and how many are counted at most.
PAGE, MOST_FINDINGS = 1_000, 200_000


class _Counting(Protocol[M_co]):
    """Takes in what there is, piece by piece, and says in the end what came of it."""

    def add(self, facts: Facts, /) -> None: ...

    def made(self) -> M_co: ...


class _CountingFindings(Protocol[M_co]):
    def add(self, findings: tuple[FindingRow, ...], /) -> None: ...

    def made(self) -> M_co: ...


async def get_series(ports: Ports, caller: Caller, question: SeriesQuery) -> Series:
    """Return counts by two things."""
    asker = caller.through("visualization")
    match question.of:
        case "outcomes":
            return outcomes((await ports.calls.ask(GET_SCAN, ScanRef(str(question.scan)), asker)).sources)
        case "severities":
            return await _of_findings(ports, asker, question.scan, SeveritiesCounted())
        case "types":
            return await _of_facts(ports, asker, question, TypesCounted(), Series, all=question.all)
        case "providers":
            # Networks are none of the target's, and what is said of them is said of what is in them.
            counting = ProvidersCounted(all=question.all)
            return await _of_facts(ports, asker, question, counting, Series, all=True)


async def get_timeline(ports: Ports, caller: Caller, question: TimelineQuery) -> Timeline:
    """Return counts over time."""
    from services.visualization.domain.timeline import CertificatesTimed, EntitiesTimed, FindingsTimed

    asker = caller.through("visualization")
    match question.of:
        case "findings":
            return await _of_findings(ports, asker, question.scan, FindingsTimed())
        case "entities":
            return await _of_facts(ports, asker, question, EntitiesTimed(), Timeline, all=question.all)
        case "certificates":
            return await _of_facts(ports, asker, question, CertificatesTimed(), Timeline, all=question.all)


async def get_map(ports: Ports, caller: Caller, question: MapQuery) -> MapView:
    """Return counts by country, and points."""
    places = Places({country.code for country in world().countries})
    return await _of_facts(ports, caller.through("visualization"), question, places, MapView, all=question.all)


async def draw_chart(ports: Ports, caller: Caller, question: ChartQuery) -> AsyncGenerator[Piece, None]:
    """A series, a timeline or the map as SVG; the file begins before much is counted."""
    async with begun(_chart(ports, caller, question)) as drawn:
        yield Piece(data=b"", media_type="image/svg+xml", name=f"mirage-{question.scan.hex[:8]}-{question.of}.svg")
        for part in await drawn:
            yield Piece(data=part.encode())


async def _chart(ports: Ports, caller: Caller, question: ChartQuery) -> Iterable[str]:
    from services.visualization.domain.drawing import charts

    scan, everything = question.scan, question.all
    match question.of:
        case "map":
            return charts.draw_map(await get_map(ports, caller, MapQuery(scan=scan, all=everything)), world())
        case "entities" | "findings" | "certificates" as of:
            asked = TimelineQuery(scan=scan, of=of, all=everything)
            return charts.draw_timeline(await get_timeline(ports, caller, asked))
        case "types" | "outcomes" | "severities" | "providers" as of:
            return charts.draw_series(await get_series(ports, caller, SeriesQuery(scan=scan, of=of, all=everything)))


@lru_cache(maxsize=1)
def world() -> World:
    """The outlines of all countries, which come with this package."""
    text = files("services.visualization").joinpath("world", "countries.json").read_bytes()
    return msgspec.json.decode(text, type=World)


async def _of_facts(
    ports: Ports,
    asker: Caller,
    question: SeriesQuery | TimelineQuery | MapQuery,
    counting: _Counting[M],
    form: type[M],
    *,
    all: bool,
) -> M:
    """Return what comes of all that a scan says: what was kept of the same, or is being counted, or counted now."""

    async def count() -> M:
        # What storage has of a scan changes with each thing that it takes in, withdraws or restores.
        stored = await ports.calls.ask(GET_STORED, ScanId(question.scan), asker)
        key = kept.key_of(VERSION, type(question).__name__, question, stored)
        found = await kept.find(ports, asker.workspace, key, form)
        if found is not None:
            return found
        facts = ports.calls.follow(READ_FACTS, FactsQuery(scan=question.scan, all=all), asker)
        # What is kept of a million addresses meanwhile is some hundred megabytes.
        async with making_of(ports).turn, aclosing(facts) as pieces:
            async for some in pieces:
                counting.add(some)
            made = await making_of(ports).beside(lambda _: counting.made())
        await kept.keep(ports, asker.workspace, key, made)
        return made

    return await making_of(ports).share((asker.workspace, question), count)


async def _of_findings(ports: Ports, asker: Caller, scan: UUID, counting: _CountingFindings[M]) -> M:
    """Return what comes of all findings; nothing of it is kept, since what people say of them changes it."""
    cursor: str | None = None
    for _ in range(MOST_FINDINGS // PAGE):
        page = await ports.calls.ask(LIST_FINDINGS, FindingsQuery(scan=scan, limit=PAGE, cursor=cursor), asker)
        counting.add(page.findings)
        cursor = page.cursor
        if cursor is None:
            break
    return counting.made()
