"""On what, and beside what else, was measured."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def describe() -> str:
    """Cores, processor, Python and kernel in one line."""
    cores = len(os.sched_getaffinity(0))
    kernel = platform.release().split("-")[0]
    return f"{cores} cores, {processor()}, Python {platform.python_version()}, {platform.system()} {kernel}"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def load() -> float:
    """How many processes wanted a core in the last minute."""
    return os.getloadavg()[0]


def today() -> str:
    return datetime.now(tz=UTC).strftime("%Y-%m-%d")


def two_cores() -> tuple[int, int]:
    """The core for what is measured, and the one for what it is measured against; the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
