"""The version of this code."""

from typing import Final

VERSION: Final = "0.1.0"
