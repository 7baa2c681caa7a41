"""The repository that the command line runs from, and its own tools."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from services.kernel.errors import MirageError

ROOT: Final = Path(__file__).parents[2]


def run_tool(module: str, *arguments: str) -> str:
    """Run a Python module of the repository, in a process that sees its files as they are now; return its remarks.

    Raises:
        MirageError: it failed; the last line that it wrote says why.
    """
    done = subprocess.run(  # noqa: S603  our own tools
        [sys.executable, "-m", module, *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise MirageError(f"{module} failed: {last}")
    return done.stderr
