"""Where in the world things are: by country, and by points where these are known."""

from collections import Counter
from collections.abc import Collection
from typing import Final

from services.contracts.resources.storage import EntityFacts, Facts
from services.contracts.resources.visualization import MapPoint, MapView
from services.visualization.domain.series import country_of

MOST_POINTS: Final = 5_000
LONGEST_EXAMPLE: Final = 200
#: Points are told apart by a tenth of a degree, about ten kilometres.
DIGITS: Final = 1
_GEOHASH: Final = "0123456789bcdefghjkmnpqrstuvwxyz"


class Places:
    """Counts things by where they are; ``known``: countries that the map has."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._countries: Counter[str] = Counter()
        self._points: Counter[tuple[float, float]] = Counter()
        self._examples: dict[tuple[float, float], str] = {}
        self._placed: set[bytes] = set()
        self._nowhere = 0

    def add(self, facts: Facts) -> None:
        for each in facts.entities:
            if point := _point(each):
                self._point(*point, each.entity.value)
            for value in each.attributes:
                if value.name == "country" and isinstance(value.value, str):
                    self._country(each.entity.id, value.value)
        for relation in facts.relations:
            if relation.type == "located_at":
                self._country(relation.source.id, country_of(relation.target))
                if relation.target.key[0] == "geohash":
                    self._point(*geohash_point(relation.target.key[1]), relation.source.value)

    def made(self) -> MapView:
        most = sorted(self._points, key=lambda point: (-self._points[point], point))[:MOST_POINTS]
        return MapView(
            countries=dict(sorted(self._countries.items())),
            points=tuple(
                MapPoint(
                    longitude, latitude, self._points[longitude, latitude], self._examples[longitude, latitude][:200]
                )
                for longitude, latitude in most
            ),
            nowhere=self._nowhere,
        )

    def _country(self, thing: bytes, code: str) -> None:
        """Count a thing once, in the country that is said of it first."""
        if not code or thing in self._placed:
            return
        self._placed.add(thing)
        if code.upper() in self._known:
            self._countries[code.upper()] += 1
        else:
            self._nowhere += 1

    def _point(self, longitude: float, latitude: float, value: str) -> None:
        point = (round(longitude, DIGITS) + 0.0, round(latitude, DIGITS) + 0.0)
        self._points[point] += 1
        self._examples.setdefault(point, value)


def _point(each: EntityFacts) -> tuple[float, float] | None:
    """The longitude and latitude that are said of an entity, if they are on the globe."""
    said = {value.name: value.value for value in each.attributes if value.name in {"latitude", "longitude"}}
    match said:
        case {"latitude": float() | int() as latitude, "longitude": float() | int() as longitude}:
            return (longitude, latitude) if -90 <= latitude <= 90 and -180 <= longitude <= 180 else None
        case _:
            return None


def geohash_point(text: str) -> tuple[float, float]:
    """The middle of a geohash: longitude and latitude."""
    low, high = [-180.0, -90.0], [180.0, 90.0]
    axis = 0
    for sign in text[:12]:
        bits = max(_GEOHASH.find(sign), 0)
        for bit in (16, 8, 4, 2, 1):
            middle = (low[axis] + high[axis]) / 2
            if bits & bit:
                low[axis] = middle
            else:
                high[axis] = middle
            axis = 1 - axis
    return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
