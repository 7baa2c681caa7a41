"""`python -m lab`: start the lab, say how to reach it, and stop on SIGINT or SIGTERM."""

import argparse
import asyncio
import gc
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from lab.faults import Fault, parse_fault
from lab.generate import generate
from lab.generate.weaknesses import weaken
from lab.providers import load_providers
from lab.running import Lab
from lab.wordlist import SIZE, make_wordlist


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab", description="A small internet on loopback.")
    parser.add_argument("--hosts", type=int, default=60, help="names below the target's domain (default 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, help="where its files go (default: a new temporary folder)")
    parser.add_argument("--wordlist", type=Path, help="also write the words that brute force needs to this file")
    parser.add_argument("--words", type=int, default=SIZE, help=f"how many words (default {SIZE})")
    parser.add_argument("--transfer", action="store_true", help="let a delegated zone be transferred")
    parser.add_argument("--nsec", action="store_true", help="let a delegated zone be walked by NSEC")
    parser.add_argument("--weak", action="store_true", help="plant what a scan should find wrong")
    parser.add_argument("--no-log", action="store_true", help="count, but do not write who asked what")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KEY=KIND[,name=value…]",
        help="something that goes wrong from the start (repeatable); see lab/README.md",
    )
    return parser.parse_args()


async def serve(options: argparse.Namespace, faults: list[tuple[str, Fault]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    world = generate(options.hosts, options.seed, transfer=options.transfer, nsec=options.nsec)
    if options.weak:
        world = weaken(world, datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    directory = options.dir or Path(tempfile.mkdtemp(prefix="lab-"))
    if options.wordlist:
        options.wordlist.write_text("\n".join(make_wordlist(world, options.words)) + "\n")
    lab = Lab(world, directory.absolute(), load_providers(), log=not options.no_log)
    for key, fault in faults:
        lab.faults.set(key, fault)
    try:
        await lab.start()
        lab.prepare()
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        exports = " ".join(f"{name}={value}" for name, value in lab.environment().items())
        sys.stdout.write(
            f"lab ready: {lab.target} --resolver {lab.resolver} export {exports} control {lab.control.url}\n"
        )
        sys.stdout.flush()
        await stop.wait()
    finally:
        await lab.stop()


def main() -> int:
    options = arguments()
    try:
        uvloop.run(serve(options, [parse_fault(text) for text in options.fault]))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
