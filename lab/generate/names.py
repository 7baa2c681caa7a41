"""Which names exist, of which kind each is, and which only seem to exist."""

import random
from math import ceil

from msgspec import Struct, structs

from lab.generate.naming import coin, permute, vocabulary
from lab.world import Reveal

SOURCES = {
    "crtsh": 0.45,
    "certspotter": 0.38,
    "subdomaincenter": 0.30,
    "wayback": 0.28,
    "anubis": 0.24,
    "rapiddns": 0.24,
    "otx": 0.24,
    "hackertarget": 0.20,
    "commoncrawl": 0.18,
    "urlscan": 0.14,
    "myssl": 0.12,
}
"""The passive sources of names, with the share of publicly known names that each lists."""

# fmt: off
CORE = [
    "www", "mail", "vpn", "api", "mta-sts", "portal", "track", "shop", "blog", "careers", "status", "docs",
    "support", "autodiscover", "login", "app", "cdn", "static", "booking", "customs", "quotes", "jira", "git",
    "wiki", "grafana", "intranet", "sso", "webmail", "remote", "partners", "investors", "press", "tracking",
    "ftp", "edi", "as2", "depot", "yard", "fleet", "telematics", "billing", "crm", "hr", "payroll", "rates",
    "schedules", "tariffs", "warehouse",
]
# fmt: on
LEVELS = ["eu", "ops", "us", "corp", "apac", "lab", "edge", "dev", "dc1", "k8s", "uk", "svc", "int", "cloud"]
INNER = "core"
UNVARIED = ("mta-sts", "autodiscover")
WILDCARDS = ["apps", "preview", "pages", "users", "tenants", "sites"]
AT_LEVELS = ["gw", "vpn", "bastion", "dc", "proxy", "mon", "ws", "fs"]
BELOW_WILDCARDS = ["billing", "admin", "auth", "search", "ledger", "console"]

SHARES: dict[Reveal, float] = {
    "permutation": 0.06,
    "certificate": 0.04,
    "page": 0.04,
    "header": 0.035,
    "record": 0.035,
    "deeper": 0.04,
    "brute": 0.14,
}
COINED: tuple[Reveal, ...] = ("certificate", "page", "header", "record")
DELEGATED: dict[Reveal, str] = {"transfer": "yard", "nsec": "sensors"}
SERVERS = ("ns1", "ns2", "mx1")
FEW = 100
RARE = 5
"""Every so many permuted names, one is of a form that nobody guesses."""


class PlannedName(Struct, frozen=True, kw_only=True):
    """A name of the target before it has an address.

    name: without the domain, empty for the domain itself; level: what it is below, without the domain;
    base, form: of a permuted name; delegated: it is the apex of a zone of its own.
    """

    name: str
    kind: Reveal
    known_to: frozenset[str] = frozenset()
    level: str = ""
    wildcard: bool = False
    base: str = ""
    form: str = ""
    delegated: bool = False


class Plan(Struct, frozen=True, kw_only=True):
    """All names: those that exist, stale ones, members of wildcards, and the words that brute force needs."""

    names: tuple[PlannedName, ...]
    levels: tuple[str, ...]
    wildcards: tuple[str, ...]
    members: dict[str, tuple[str, ...]]
    stale: tuple[tuple[str, frozenset[str]], ...]
    words: frozenset[str]


def counts(hosts: int, *, transfer: bool, nsec: bool) -> dict[Reveal, int]:
    """How many names of each kind a zone of `hosts` names has: at least the shares, never fewer than three."""
    number: dict[Reveal, int] = {kind: max(3, ceil(share * hosts)) for kind, share in SHARES.items()}
    number["record"] = max(6, number["record"])
    number["target"] = 1
    number["transfer"] = 3 if transfer else 0
    number["nsec"] = 3 if nsec else 0
    number["passive"] = hosts - sum(number.values()) - transfer - nsec
    if number["passive"] < len(SOURCES) + 6:
        raise ValueError(f"{hosts} hosts are too few for a world")
    return number


def plan_names(hosts: int, seed: int, *, transfer: bool = False, nsec: bool = False) -> Plan:
    """Choose the names of a zone of `hosts` names."""
    number = counts(hosts, transfer=transfer, nsec=nsec)
    levels = _levels(hosts)
    wildcards = tuple(WILDCARDS[: min(len(WILDCARDS), max(2, hosts // 400))])
    names = _Names(seed)
    names.add("", "target", known_to=frozenset(SOURCES))
    for kind, zone in DELEGATED.items():
        if number[kind]:
            names.delegated(zone, kind, number[kind])
    names.passive(number["passive"], levels, wildcards)
    names.brute(number["brute"], wildcards)
    names.deeper(number["deeper"], levels)
    for kind in COINED:
        names.coined(kind, number[kind], levels)
    names.permuted(number["permutation"])
    members = {wildcard: names.members(wildcard) for wildcard in wildcards}
    stale = names.stale(ceil(hosts * 0.15))
    return Plan(
        names=tuple(names.chosen),
        levels=levels,
        wildcards=wildcards,
        members=members,
        stale=stale,
        words=frozenset(planned.name.split(".")[0] for planned in names.chosen if planned.kind in ("brute", "deeper")),
    )


def _levels(hosts: int) -> tuple[str, ...]:
    """The levels below the domain; every fourth has an inner one."""
    outer = LEVELS[: min(len(LEVELS), max(2, hosts // 160))]
    return (*outer, *(f"{INNER}.{level}" for level in outer[::4]))


class _Names:
    """The names chosen so far; each is taken once."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"{seed} names")
        self.chosen: list[PlannedName] = []
        self.taken: set[str] = set()
        self.pool = list(vocabulary())
        self.rng.shuffle(self.pool)

    def add(
        self,
        name: str,
        kind: Reveal,
        *,
        known_to: frozenset[str] = frozenset(),
        level: str = "",
        wildcard: bool = False,
        base: str = "",
        form: str = "",
    ) -> bool:
        """Take `name`, unless it is taken."""
        if name in self.taken:
            return False
        self.taken.add(name)
        self.chosen.append(
            PlannedName(name=name, kind=kind, known_to=known_to, level=level, wildcard=wildcard, base=base, form=form)
        )
        return True

    def word(self) -> str:
        """A word that is not yet a name at the top."""
        while (word := self.pool.pop()) in self.taken:
            pass
        self.pool.insert(0, word)
        return word

    def sources(self) -> frozenset[str]:
        """Who lists a publicly known name: at least one."""
        known = frozenset(source for source, share in SOURCES.items() if self.rng.random() < share)
        return known or frozenset(self.rng.choices(list(SOURCES), weights=list(SOURCES.values())))

    def passive(self, number: int, levels: tuple[str, ...], wildcards: tuple[str, ...]) -> None:
        """Publicly known names: some at every level and below every wildcard, well-known ones, a mixture.

        Each source is the only one to know something, or its absence would cost nothing.
        """
        wanted = len(self.chosen) + number
        few = 1 if number < FEW else 2
        for level in levels:
            for label in self.rng.sample(AT_LEVELS, few):
                self.add(f"{label}.{level}", "passive", known_to=self.sources(), level=level)
        for level in wildcards:
            for label in self.rng.sample(BELOW_WILDCARDS, few):
                self.add(f"{label}.{level}", "passive", known_to=self.sources(), level=level, wildcard=True)
        for label in CORE[: wanted - len(self.chosen)]:
            self.add(label, "passive", known_to=self.sources())
        while len(self.chosen) < wanted:
            name, level = self._mixed(levels)
            self.add(name, "passive", known_to=self.sources(), level=level)
        for place, source in enumerate(SOURCES, len(self.chosen) - len(SOURCES)):
            self.chosen[place] = structs.replace(self.chosen[place], known_to=frozenset((source,)))

    def _mixed(self, levels: tuple[str, ...]) -> tuple[str, str]:
        """A name as organisations form them, and its level."""
        word, other = self.word(), self.rng.choice(vocabulary())
        level = self.rng.choice(levels) if self.rng.random() < 0.25 else ""
        shape = self.rng.random()
        if shape < 0.45:
            label = word
        elif shape < 0.80:
            label = f"{word}-{other}"
        else:
            label = f"{word}{self.rng.choice(('', '0'))}{self.rng.randint(1, 4)}"
        return (f"{label}.{level}" if level else label), level

    def brute(self, number: int, wildcards: tuple[str, ...]) -> None:
        """Names that only a word list has: one below each wildcard, the others at the top."""
        wanted = len(self.chosen) + number
        for wildcard in wildcards:
            self.add(f"{self.word()}.{wildcard}", "brute", level=wildcard, wildcard=True)
        while len(self.chosen) < wanted:
            self.add(self.word(), "brute")

    def deeper(self, number: int, levels: tuple[str, ...]) -> None:
        """Names that a word list has, below a level that other names show."""
        wanted = len(self.chosen) + number
        while len(self.chosen) < wanted:
            level = self.rng.choice(levels)
            self.add(f"{self.word()}.{level}", "deeper", level=level)

    def coined(self, kind: Reveal, number: int, levels: tuple[str, ...]) -> None:
        """Names with a code name in them, that one place shows and nobody guesses."""
        wanted = len(self.chosen) + number
        for name in SERVERS if kind == "record" else ():
            self.add(name, kind)
        while len(self.chosen) < wanted:
            label = coin(self.rng)
            if self.rng.random() < 0.2:
                label += f"-{self.rng.choice(vocabulary())}"
            level = self.rng.choice(levels) if self.rng.random() < 0.15 else ""
            self.add(f"{label}.{level}" if level else label, kind, level=level)

    def delegated(self, zone: str, kind: Reveal, number: int) -> None:
        """A publicly known zone of its own, and names in it, which it gives away itself."""
        self.add(zone, "passive", known_to=self.sources())
        self.chosen[-1] = structs.replace(self.chosen[-1], delegated=True)
        wanted = len(self.chosen) + number
        while len(self.chosen) < wanted:
            self.add(f"{coin(self.rng)}.{zone}", kind, level=zone)

    def permuted(self, number: int) -> None:
        """Names formed from names that can be found without them, as their owners do."""
        bases = [
            name
            for name in self.chosen
            if name.kind in ("passive", "brute")
            and not name.wildcard
            and len(name.name) < 24
            and not name.delegated
            and name.name not in UNVARIED
        ]
        words = frozenset(vocabulary())
        wanted = len(self.chosen) + number
        rare = max(1, round(number / RARE))
        while len(self.chosen) < wanted:
            base = self.rng.choice(bases)
            label, _, level = base.name.partition(".")
            form, formed = permute(label, self.rng, rare=wanted - len(self.chosen) <= rare)
            if formed in words:
                continue
            name = f"{formed}.{level}" if level else formed
            self.add(name, "permutation", level=name.partition(".")[2], base=base.name, form=form)

    def members(self, wildcard: str) -> tuple[str, ...]:
        """Names below a wildcard that sources list and that are no hosts."""
        names = []
        for _ in range(4):
            label = self.rng.choice((f"pr-{self.rng.randint(100, 999)}", coin(self.rng), self.rng.choice(CORE)))
            name = f"{label}.{wildcard}"
            if name not in self.taken:
                self.taken.add(name)
                names.append(name)
        return tuple(names)

    def stale(self, number: int) -> tuple[tuple[str, frozenset[str]], ...]:
        """Names that sources remember and that are gone."""
        names: list[tuple[str, frozenset[str]]] = []
        while len(names) < number:
            word = self.rng.choice(vocabulary())
            year = self.rng.randint(2009, 2022)
            name = self.rng.choice((f"{word}{year}", f"old-{word}", f"{word}-legacy", coin(self.rng), f"{word}-v1"))
            if name not in self.taken:
                self.taken.add(name)
                names.append((name, self.sources()))
        return tuple(names)
