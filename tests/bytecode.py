"""Where an environment wants no bytecode beside the code, it is kept elsewhere.

Otherwise every one of hundreds of processes would compile all that it loads anew.
"""

import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

KEPT: Final = str(Path("~/.cache/mirage-bytecode").expanduser())


def keep_bytecode(environment: MutableMapping[str, str]) -> None:
    """Have processes with this environment keep theirs."""
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment["PYTHONPYCACHEPREFIX"] = KEPT


def keep_own_bytecode() -> None:
    """Keep that of this process, too, which has begun already."""
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode, sys.pycache_prefix = False, KEPT
