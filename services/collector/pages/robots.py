"""robots.txt (RFC 9309): where robots are asked not to go, and where sitemaps are."""

import re
from typing import Final

from msgspec import Struct

MAX_BYTES: Final = 512_000  # the RFC asks for at least 500 kiB
MAX_RULES: Final = 2_000
MAX_VALUE: Final = 1_024
MAX_STARS: Final = 8
#: A path that is longer is matched by no rule, and so not visited where there are any.
MAX_PATH: Final = 1_000

_stars = re.compile(r"\*+")
_is_name = re.compile(r"[A-Za-z-]{3,20}").fullmatch


class Rule(Struct, frozen=True):
    """A path pattern with ``*`` and a final ``$``, and whether it may be visited."""

    path: str
    allowed: bool


class Robots(Struct, frozen=True):
    """The groups by user agent in lower case, every path that is disallowed to anybody, and the sitemaps."""

    groups: dict[str, tuple[Rule, ...]]
    disallowed: tuple[str, ...]
    sitemaps: tuple[str, ...]

    def allows(self, path: str, agent: str) -> bool:
        """Whether ``agent`` may visit ``path``: the longest rule that matches decides, and allow wins a tie."""
        rules = self.groups.get(agent.lower(), self.groups.get("*", ()))
        if len(path) > MAX_PATH:
            return not rules
        matching = [rule for rule in rules if _matches(rule.path, path)]
        best = max(matching, key=lambda rule: (len(rule.path), rule.allowed), default=None)
        return best is None or best.allowed


def read_robots(text: str) -> Robots:
    """Read the file; lines that are no rules are passed over."""
    groups: dict[str, list[Rule]] = {}
    sitemaps: dict[str, None] = {}
    agents: list[str] = []
    in_rules = False
    for line in text[:MAX_BYTES].splitlines()[: 10 * MAX_RULES]:
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()[:MAX_VALUE]
        if not colon or not _is_name(name):
            continue
        if name == "user-agent":
            agents = [*agents, value.lower()][-50:] if not in_rules else [value.lower()]
            in_rules = False
            groups.setdefault(value.lower(), [])
        elif name in {"allow", "disallow"}:
            in_rules = True
            rule = _rule(value, allowed=name == "allow")
            for agent in agents:
                if rule and len(groups[agent]) < MAX_RULES:
                    groups[agent].append(rule)
        elif name == "sitemap" and value and len(sitemaps) < MAX_RULES:
            sitemaps[value] = None
    return Robots(
        groups={agent: tuple(rules) for agent, rules in groups.items()},
        disallowed=tuple(dict.fromkeys(rule.path for rules in groups.values() for rule in rules if not rule.allowed)),
        sitemaps=tuple(sitemaps),
    )


def _rule(path: str, *, allowed: bool) -> Rule | None:
    """The rule about a path, or None; behind `MAX_STARS` nothing is forbidden more narrowly, and nothing allowed."""
    pieces = _stars.split(path, MAX_STARS + 1)
    if len(pieces) <= MAX_STARS + 1:
        return Rule("*".join(pieces), allowed) if path else None
    return None if allowed else Rule("*".join(pieces[: MAX_STARS + 1]), allowed)


def _matches(pattern: str, path: str) -> bool:
    """Literal pieces are looked for one after the other, which takes linear time whatever the pattern."""
    anchored = pattern.endswith("$")
    first, *pieces = (pattern[:-1] if anchored else pattern).split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    for piece in pieces[:-1]:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if not pieces:
        return not anchored or at == len(path)
    if anchored:
        return len(path) - len(pieces[-1]) >= at and path.endswith(pieces[-1])
    return path.find(pieces[-1], at) >= 0
