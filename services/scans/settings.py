"""The numbers that this service works by. Times are microseconds unless a name says otherwise."""

from typing import Final

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND

#: A batch that a collector works on is its for this long after each renewal.
LEASE: Final = 60 * SECOND
#: A batch that nobody has taken yet may wait in the queue for this long before it is published again.
QUEUED: Final = 600 * SECOND
#: No lease goes on for longer than this and what the open items of its batch may take; most of it waits for rates.
LONGEST_LEASE: Final = 6 * 3600 * SECOND
#: How many collectors may be lost with a batch before its items count as failed, and how many may have an older version
#: or none before its items are made again under that, or skipped.
ATTEMPTS: Final = 10
SUPERSEDED: Final = 10

#: Batches in flight of all running scans of a workspace, of one scan at least, of one module in a scan, and of one
#: that has a rate: while one batch is worked on, the next one is there.
WORKSPACE_WINDOW: Final = 96
SCAN_WINDOW: Final = 8
MODULE_WINDOW: Final = 4
RATED_WINDOW: Final = 2
#: Items in a batch, and bytes of a message that carries items or admissions.
BATCH_ITEMS: Final = 200
MESSAGE_BYTES: Final = 200_000
#: Targets that are named where there may be 100,000: in messages, in lists, and where one scan is shown.
TARGETS_SAID: Final = 100

#: How often sets of names are handed out in a run, and how often an item waits for a rate in one run.
NAME_ROUNDS: Final = 3
RATE_TURNS: Final = 3
#: Seconds between two looks of the timer, and between two messages of progress.
TICK: Final = 0.5
PROGRESS_EVERY: Final = 0.25

#: Seconds for which the quotas of a workspace are gone by, and after which it is looked whether one that was used up
#: leaves something again.
QUOTAS_ASKED: Final = 5
LOOKED_AGAIN: Final = 30 * SECOND
