"""A scan in words: where it stands, what it found, which sources could not be asked."""

import time
from operator import itemgetter

from services.cli.text import clean, count, instant, write_table
from services.contracts.resources import Scan, SourceState
from services.contracts.states import ENDED

PLURAL_TYPES = {"ip_address": "IP address", "asn": "ASN", "url": "URL", "dns_record": "DNS record"}
#: What a scan is called that is to run and that no process runs.
INTERRUPTED = "interrupted"
HELD_SHOWN = 6
#: Seconds from now on after which a time is said with its day.
DAY = 86_400
#: Sources that are named one by one.
FEW = 6
UNASKED = frozenset({"partial", "unauthorised", "unreachable", "rate_limited", "blocked", "failed"})


def headline(scan: Scan, *, interrupted: bool = False) -> str:
    """One line: what was scanned and how it stands."""
    targets = ", ".join(clean(target.value) for target in scan.targets[:3])
    in_all = max(scan.target_count, len(scan.targets))
    more = f" and {in_all - 3:,} more" if in_all > 3 else ""
    reason = f" ({scan.reason})" if scan.reason else ""
    state = INTERRUPTED if interrupted else scan.state
    return f"Scan {str(scan.id)[:8]} of {targets}{more}, profile {scan.profile}: {state}{reason}"


def found(scan: Scan) -> str:
    """How many entities of which type, most first."""
    kinds = sorted(scan.entities.items(), key=lambda kind: (-kind[1], kind[0]))
    named = [count(number, PLURAL_TYPES.get(kind, kind.replace("_", " "))) for kind, number in kinds]
    return ", ".join(named) or "nothing"


def unasked(scan: Scan) -> list[SourceState]:
    """The sources that could not be asked, or not about everything."""
    over = scan.state in ENDED
    return [source for source in scan.sources if source.state in UNASKED or (over and source.open)]


def unasked_line(scan: Scan) -> str:
    """One line on sources that could not be asked; empty when all could."""
    sources = unasked(scan)
    if not sources:
        return ""
    told = "; ".join(
        f"{source.module} {source.state.replace('_', ' ')}"
        + (f" ({clean(source.reason)[:80]})" if source.reason else "")
        for source in sources[:12]
    )
    more = f"; and {len(sources) - 12} more" if len(sources) > 12 else ""
    return f"Not asked, or not about everything: {told}{more}"


def truncated_line(scan: Scan) -> str:
    """One line on sources that have more than they gave; empty when all gave everything."""
    told = [
        f"{source.module} ({clean(source.reason)[:80]})" for source in scan.sources if "truncated" in source.outcomes
    ]
    return f"Answered in part: {'; '.join(told)}" if told else ""


def nobody_was_asked(scan: Scan) -> bool:
    """Whether a scan came to its end without a question."""
    return scan.state == "finished" and not any(source.outcomes or source.open for source in scan.sources)


def left_out_lines(scan: Scan) -> list[str]:
    """A line for each kind of thing that was not asked: sources, what they kept back, active work, everything."""
    lines = [unasked_line(scan), truncated_line(scan)]
    if scan.profile == "deep" and scan.authorised is None:
        lines.append("Not asked: what is active, since nobody authorised it (--authorised 'who, why')")
    if nobody_was_asked(scan):
        few = [source.module for source in scan.sources] if len(scan.sources) <= FEW else []
        who = f"of its sources ({', '.join(few)}) none" if few else f"no source of the profile {scan.profile}"
        lines.append(f"Nobody was asked: {who} takes such a target")
    return [line for line in lines if line]


def write_sources(scan: Scan, *, interrupted: bool = False) -> None:
    """Print how each source fared."""
    write_table(
        ("source", "class", "state", "asked", "open", "claims", "requests", "reason"),
        (
            (
                source.module,
                source.activity,
                INTERRUPTED if interrupted and source.open else source.state.replace("_", " "),
                str(sum(source.outcomes.values())),
                str(source.open),
                str(source.claims),
                str(source.requests),
                source.reason[:100] if source.state != "answered" else "",
            )
            for source in scan.sources
            if source.outcomes or source.open or source.reason
        ),
        first=("source", "state", "claims"),
    )


def held_lines(scan: Scan) -> list[str]:
    """Why all of a scan waits, and for whom parts of it do, until when: of these the first, as they come."""
    held = [(waiting.until, waiting) for waiting in scan.waiting if waiting.until is not None]
    held.sort(key=itemgetter(0))
    lines = [clean(scan.withheld)] if scan.withheld else []
    for until, waiting in held[:HELD_SHOWN]:
        when = instant(until) if until > (time.time() + DAY) * 1_000_000 else instant(until)[11:]
        reason = f"{clean(waiting.reason)} until {when}"
        lines.append(f"{waiting.module}, {count(waiting.items, 'item')}: {reason}")
    if len(held) > HELD_SHOWN:
        lines.append(f"and {count(len(held) - HELD_SHOWN, 'other source')}")
    return lines


def times(scan: Scan) -> str:
    """When it began and how long it took."""
    if scan.started is None:
        return f"created {instant(scan.created)}"
    if scan.ended is None:
        return f"started {instant(scan.started)}"
    took = f"{(scan.ended - scan.started) / 1_000_000:.1f} s"
    return f"took {took}" if scan.run == 1 else f"{count(scan.run, 'run')} within {took}"
