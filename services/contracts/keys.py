"""Where provider keys are shared, sealed: below `KEYS` by their names, once `PROJECTED` is there too."""

from typing import Final

KEYS: Final = "keys/"
PROJECTED: Final = "keys/.projected"
