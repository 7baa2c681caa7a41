"""Real servers for benchmarks, as the tests start them; one a benchmark, ended with it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.declaration import Unable
from tests.servers.running import Server, Stable, missing


@contextmanager
def serving(kind: str) -> Iterator[Server]:
    if kind in missing():
        raise Unable(f"{kind} is not installed (tests/servers/README.md)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user
        os.mkfifo(folder / "fifo")
        leash = os.open(folder / "fifo", os.O_RDWR | os.O_CLOEXEC)
        stable = Stable(folder)
        server = stable.own(kind)
        try:
            yield server
        finally:
            stable.give_back(server)
            os.close(leash)
