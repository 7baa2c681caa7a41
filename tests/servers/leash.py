"""Runs a server as a child that ends when whoever started it is gone, however that ended.

usage: leash.py FIFO [--user NAME] COMMAND…

The other end of FIFO is open in the test run for as long as it lives; when it closes, the child is killed.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


def main() -> int:
    fifo, *command = sys.argv[1:]
    user = None
    if command[0] == "--user":
        user, command = command[1], command[2:]
    child = subprocess.Popen(command, user=user, group=user, extra_groups=[] if user else None)

    def wait_for_the_end() -> None:
        with Path(fifo).open("rb") as held:
            held.read()
        os.killpg(0, signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: child.send_signal(received))
    threading.Thread(target=wait_for_the_end, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
