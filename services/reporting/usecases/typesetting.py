"""PDF by typst, in a process of its own, which takes neither the service down nor more than it is given.

``python -m services.reporting.usecases.typesetting FORM SECONDS MEMORY`` reads JSON from standard input and writes the
PDF (or the pages as pictures, for who looks at them) to standard output. What is set comes as data alone, fonts are
those that typst brings, no package is fetched, and the time is the report's: so the same document has the same bytes.
"""

import asyncio
import math
import resource
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from services.kernel.errors import MirageError, Unavailable
from services.kernel.service import Ports
from services.reporting.domain.reports.document import Document
from services.reporting.domain.reports.plain import laid_out
from services.reporting.domain.reports.plain import typeset as glyphs
from services.reporting.domain.reports.words import instant

ROOT: Final = Path(__file__).parents[3]
TEMPLATE: Final = ROOT / "templates" / "reports" / "report.typ"
#: Seconds, of the clock and of the processor, and bytes of memory for one report.
SECONDS: Final = 90
MEMORY: Final = 3 << 30
#: Reports that are set at once by a process of the service: each has a core and some hundred megabytes.
AT_ONCE: Final = 2


async def typeset(ports: Ports, document: Document, form: str = "pdf") -> bytes:
    """The PDF of a report.

    Raises:
        Unavailable: it took longer than it may, or more memory.
    """
    places: asyncio.Semaphore = ports.state.setdefault("typesetting", asyncio.Semaphore(AT_ONCE))
    async with places:
        return await _run(msgspec.json.encode(sheet(document)), form)


def sheet(document: Document) -> dict[str, Any]:
    """What the template is given."""
    at = datetime.fromtimestamp(document.as_of // 1_000_000, UTC)
    return {
        **laid_out(document, glyphs),
        "date": [at.year, at.month, at.day],
        "instant": instant(document.as_of),
        "timestamp": document.as_of // 1_000_000,
    }


async def _run(data: bytes, form: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", __name__, form, str(math.ceil(SECONDS)), str(MEMORY)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate(data)
    except TimeoutError:
        raise Unavailable(f"a report of this size is not set within {SECONDS} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == 0:
        return out
    if (process.returncode or 0) < 0 or b"memory" in err:
        raise Unavailable("a report of this size needs more memory or time than it may take")
    last = (err.decode("utf-8", "replace").strip().splitlines() or ["typst said nothing"])[-1]
    raise MirageError(f"typst did not set the report: {last[:300]}")


def main() -> None:
    """Set what comes on standard input."""
    form, seconds, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import typst

    data = sys.stdin.buffer.read()
    with tempfile.TemporaryDirectory() as folder:
        # A folder with nothing else in it is all that it may read.
        root = Path(folder)
        main_file = root / TEMPLATE.name
        main_file.write_bytes(TEMPLATE.read_bytes())
        made = typst.compile(
            main_file,
            root=root,
            font_paths=typst.Fonts(include_system_fonts=False, include_embedded_fonts=True),
            ignore_system_fonts=True,
            format="png" if form == "png" else "pdf",
            sys_inputs={"data": data.decode()},
            timestamp=msgspec.json.decode(data)["timestamp"],
            package_path=root,
            package_cache_path=root,
        )
    pages: Any = made
    sys.stdout.buffer.write(pages if isinstance(pages, bytes) else msgspec.json.encode(pages))


if __name__ == "__main__":
    main()
