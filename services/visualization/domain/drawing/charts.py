"""Series, timelines and the map as SVG."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import log1p
from typing import Final

from services.contracts.resources.visualization import MapView, Series, Step, Timeline, World
from services.visualization.domain.drawing.text import CLOSING, FAINT, INK, colours_of, label, legend, opening, written

WIDTH: Final = 900.0
#: Of names of rows, and of what is drawn beside them.
NAMES: Final = 210.0
ROW: Final = 22.0
#: The height of columns over time.
TALL: Final = 240.0
#: Of the map: what is north and south of it is left out, and a country of nothing.
NORTH, SOUTH, LAND = 84.0, -58.0, "#e4e7eb"
_TITLES: Final = {
    "types": "Entities by type and role",
    "outcomes": "Work items by module and outcome",
    "severities": "Findings by category and severity",
    "providers": "Addresses by country and provider",
    "entities": "Entities by when they were first seen",
    "findings": "Findings by when they were first found",
    "certificates": "Certificates by when they end",
}
_DATES: Final[dict[Step, str]] = {
    "hour": "%Y-%m-%d %H:00",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
}


def draw_series(series: Series) -> Iterator[str]:
    """Rows as bars, in which each column has its part."""
    colours = colours_of(series.columns)
    swatches, top = legend(colours.items(), 10, 54, WIDTH - 20)
    yield opening(WIDTH, top + len(series.rows) * ROW + 20, _TITLES[series.of])
    yield label(10, 26, _TITLES[series.of], most=120, size=15) + "\n" + swatches
    of_row: dict[int, list[tuple[int, int]]] = {}
    for cell in series.cells:
        of_row.setdefault(cell.row, []).append((cell.column, cell.count))
    largest = max((sum(count for _, count in cells) for cells in of_row.values()), default=1)
    scale = (WIDTH - NAMES - 80) / largest
    for row, name in enumerate(series.rows):
        y, x = top + row * ROW, NAMES
        parts = [label(NAMES - 8, y + 14, name, most=32, anchor="end")]
        for column, count in of_row.get(row, ()):
            told = written(f"{name}, {series.columns[column]}: {count:,}", 200)
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{max(count * scale, 0.5):.1f}" height="{ROW - 7:.0f}"'
                f' fill="{colours[series.columns[column]]}"><title>{told}</title></rect>'
            )
            x += count * scale
        parts.append(label(x + 6, y + 14, f"{sum(count for _, count in of_row.get(row, ())):,}", ink=FAINT))
        yield "\n".join(parts) + "\n"
    if not series.rows:
        yield label(10, top, "nothing to count", ink=FAINT) + "\n"
    yield CLOSING


def draw_timeline(timeline: Timeline) -> Iterator[str]:
    """Columns over time, in which each group has its part."""
    colours = colours_of(timeline.groups)
    swatches, top = legend(colours.items(), 10, 54, WIDTH - 20)
    base = top + TALL
    yield opening(WIDTH, base + 40, _TITLES[timeline.of])
    yield label(10, 26, f"{_TITLES[timeline.of]}, by {timeline.step}", most=120, size=15) + "\n" + swatches
    steps = len(timeline.begins)
    totals = [sum(group[step] for group in timeline.counts) for step in range(steps)]
    largest = max(totals, default=1) or 1
    wide = (WIDTH - 80) / max(steps, 1)
    for part in (0.0, 0.5, 1.0):
        y = base - part * TALL
        yield f'<path d="M60 {y:.1f}H{WIDTH - 20:.0f}" stroke="#cbd2d9" stroke-width="0.7"/>'
        yield label(54, y + 4, f"{largest * part:,.0f}", anchor="end", ink=FAINT) + "\n"
    every = max(1, -(-steps // 8))
    for step, begins in enumerate(timeline.begins):
        y, x = base, 60 + step * wide
        for group, counts in zip(timeline.groups, timeline.counts, strict=True):
            if counts[step]:
                height = counts[step] / largest * TALL
                y -= height
                told = written(f"{_date(begins, timeline.step)}, {group}: {counts[step]:,}", 200)
                yield (
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.6, min(wide * 0.86, 60)):.1f}" height="{height:.1f}"'
                    f' fill="{colours[group]}"><title>{told}</title></rect>\n'
                )
        if step % every == 0:
            yield label(x, base + 18, _date(begins, timeline.step), ink=FAINT) + "\n"
    if not steps:
        yield label(70, base - TALL / 2, "nothing to count", ink=FAINT) + "\n"
    yield CLOSING


def draw_map(view: MapView, world: World) -> Iterator[str]:
    """Countries by how much is in them, and points."""
    scale = (WIDTH - 20) / 360
    height = (NORTH - SOUTH) * scale + 70
    yield opening(WIDTH, height, "Where in the world")
    total = sum(view.countries.values())
    told = f"{total:,} by country ({len(view.countries)}), {sum(point.count for point in view.points):,} by point"
    yield label(10, 26, told, most=120, size=15) + "\n"
    largest = max(view.countries.values(), default=1)

    def at(longitude: float, latitude: float) -> str:
        return f"{10 + (longitude + 180) * scale:.1f} {50 + (NORTH - max(SOUTH, min(NORTH, latitude))) * scale:.1f}"

    for country in world.countries:
        count = view.countries.get(country.code, 0)
        fill = _shade(log1p(count) / log1p(largest)) if count else LAND
        lines = "".join(
            "M" + "L".join(at(ring[place], ring[place + 1]) for place in range(0, len(ring) - 1, 2)) + "Z"
            for ring in country.rings
            if max(ring[1::2]) > SOUTH
        )
        told = f"<title>{written(country.name, 80)}: {count:,}</title>"
        if lines:
            yield f'<path d="{lines}" fill="{fill}" stroke="#ffffff" stroke-width="0.5">{told}</path>\n'
        elif count:
            x, _, y = at(*country.at).partition(" ")
            yield f'<circle cx="{x}" cy="{y}" r="3.5" fill="{fill}" stroke="{INK}" stroke-width="0.4">{told}</circle>\n'
    for point in view.points:
        x, _, y = at(point.longitude, point.latitude).partition(" ")
        radius = min(9.0, 2 + point.count**0.5 / 2)
        told = written(f"{point.value} ({point.count:,})", 120)
        yield (
            f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" fill="#d55e00" fill-opacity="0.75" stroke="#ffffff"'
            f' stroke-width="0.6"><title>{told}</title></circle>\n'
        )
    if view.nowhere:
        yield label(10, height - 8, f"{view.nowhere:,} in countries that the map does not know", ink=FAINT) + "\n"
    yield CLOSING


def _shade(depth: float) -> str:
    """From a light blue to a dark one."""
    light, dark = (198, 219, 239), (8, 69, 148)
    mixed = (round(one + (other - one) * depth) for one, other in zip(light, dark, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _date(at: int, step: Step) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).strftime(_DATES[step])
