"""Where on Earth a geohash is."""

from typing import Final

_DIGITS: Final = {digit: value for value, digit in enumerate("0123456789bcdefghjkmnpqrstuvwxyz")}
#: Metres of a degree of a great circle.
_DEGREE: Final = 111_195.0


def box_of(geohash: str) -> tuple[float, float, float]:
    """The middle of a geohash as latitude and longitude in degrees, and metres from there to its farthest corner."""
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    axis = 0
    for digit in geohash:
        for bit in (16, 8, 4, 2, 1):
            low, high = bounds[axis]
            bounds[axis][0 if _DIGITS[digit] & bit else 1] = (low + high) / 2
            axis = 1 - axis
    (west, east), (south, north) = bounds
    half = ((east - west) / 2, (north - south) / 2)
    metres = (half[0] ** 2 + half[1] ** 2) ** 0.5 * _DEGREE
    return round((south + north) / 2, 6), round((west + east) / 2, 6), round(metres, 1)
