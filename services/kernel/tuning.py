"""What a process of Mirage takes for itself at its start; who runs services in a process of their own need not."""

import gc
import resource
from contextlib import suppress
from typing import Final

#: Of files and connections at once, where the system lets us.
DESCRIPTORS: Final = 65_536


def tune_process() -> None:
    """Have garbage collected seldom, and more files and connections open than the usual 1,024."""
    # What lives here dies by reference count, and the modules live for ever.
    gc.set_threshold(150_000, 20, 50)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
