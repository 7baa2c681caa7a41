"""The version that each module's code belongs to; `python -m tests.collector.lock [ID…]` accepts the code as it is.

Evidence is replayed by module and version, so a changed module needs a new version; `tests/golden/modules.json` is what
holds the two together.
"""

import json
import sys
from pathlib import Path

from services.collector.manifest import ModuleFile
from tests.collector.recorded import readable_modules

LOCK = Path(__file__).parents[1] / "golden" / "modules.json"


def read_lock() -> dict[str, list[object]]:
    """Version and code digest by module id."""
    return json.loads(LOCK.read_text()) if LOCK.exists() else {}


def accept(files: list[ModuleFile], ids: list[str]) -> None:
    """Write the lock anew for ``ids`` (all when empty); modules that are gone leave it."""
    before = read_lock()
    locked: dict[str, list[object]] = {}
    for file in files:
        module, now = file.manifest.id, [file.manifest.version, file.code()]
        known = before.get(module)
        if ids and module not in ids:
            if known:
                locked[module] = known
            continue
        if known and known[0] == now[0] and known[1] != now[1]:
            sys.stderr.write(f"{module}: the code changed and the version is still {now[0]}\n")
        locked[module] = now
    lines = ",\n".join(f" {json.dumps(module)}: {json.dumps(locked[module])}" for module in sorted(locked))
    LOCK.write_text(f"{{\n{lines}\n}}\n" if lines else "{}\n")


if __name__ == "__main__":
    accept(readable_modules(), sys.argv[1:])
