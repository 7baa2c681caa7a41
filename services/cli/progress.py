"""Live progress on a terminal: what is running, waiting for whom, found so far, time left."""

import time

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from services.cli.scan_text import found, headline, held_lines
from services.cli.text import console
from services.contracts.resources import Scan

SHOWN = 6


class LiveProgress:
    """Draws on stderr, so that stdout stays clean."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        )
        self._task = self._bar.add_task("asked", total=1)
        self._began = time.monotonic()
        self._live = Live(console=console(stderr=True), refresh_per_second=8, transient=True)
        self._live.start()

    def update(self, scan: Scan) -> None:
        """Redraw."""
        done = scan.items.get("done", 0)
        total = sum(scan.items.values())
        self._bar.update(self._task, completed=done, total=max(1, total))
        running = [source for source in scan.sources if source.open]
        busy = ", ".join(f"{source.module} {source.open}" for source in running[:SHOWN])
        lines: list[RenderableType] = [Text(headline(scan)), self._bar, Text(f"found    {found(scan)}")]
        if busy:
            more = f" and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
            lines.append(Text(f"running  {busy}{more}"))
        lines += [Text(f"waiting  {held}") for held in held_lines(scan)]
        left = self._left(done, total, max((each.until for each in scan.waiting if each.until), default=0))
        if left:
            lines.append(Text(left))
        self._live.update(Group(*lines))

    def _left(self, done: int, total: int, held_until: int) -> str:
        """How long what is known may take at the pace until now, and no less than what waits for a time."""
        spent = time.monotonic() - self._began
        if done < 20 or spent < 2:
            return ""
        seconds = max(spent / done * (total - done), held_until / 1_000_000 - time.time())
        return f"left     about {seconds:.0f} s for what is known so far"

    def close(self) -> None:
        """Take the drawing away."""
        self._live.stop()
