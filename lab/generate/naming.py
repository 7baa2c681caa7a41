"""How names of the lab are formed: a vocabulary of its own, coined code names, and the habits of real zones."""

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

WORDS = Path(__file__).parents[1] / "words.txt"

ONSETS = ("b", "c", "d", "f", "g", "k", "l", "m", "n", "p", "qu", "r", "s", "t", "v", "br", "dr", "st", "tr", "vl")
NUCLEI = ("a", "e", "i", "o", "u", "ia", "eo")
CODAS = ("n", "r", "s", "x", "ra", "lo", "nt", "sk", "dor", "vik")


@cache
def vocabulary() -> tuple[str, ...]:
    """The words of `lab/words.txt`, sorted."""
    return tuple(WORDS.read_text().split())


def coin(rng: random.Random) -> str:
    """A pronounceable code name that no word list has, as organisations give to internal projects."""
    return "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) for _ in range(3)) + rng.choice(CODAS)


# The habits: counted by form (not by word) in published lists of the most frequent names, and described in published
# naming conventions; see README.md, "Permuted names".
ENVIRONMENTS = ("dev", "test", "staging", "stage", "stg", "uat", "qa", "prod", "preprod", "demo", "int", "tst", "acc")
ROLES = ("gw", "lb", "db", "proxy", "admin", "int", "ext", "backend", "worker", "cache", "node", "origin", "in", "out")
REGIONS = ("eu", "us", "uk", "de", "ams", "lon", "fra", "nyc", "sin", "eu-west-1", "us-east-1", "westeurope", "apac")


def _number(label: str, rng: random.Random) -> str:
    """A first number, or one of the next after a number that is there."""
    digits = re.search(r"\d+$", label)
    if digits:
        return label[: digits.start()] + str(int(digits[0]) + rng.randint(1, 3)).zfill(len(digits[0]))
    return f"{label}{rng.choice(('', '', '-'))}{rng.choice(('1', '2', '3', '4', '5', '01', '02', '03', '10', '11'))}"


def _environment_after(label: str, rng: random.Random) -> str:
    return f"{label}-{rng.choice(ENVIRONMENTS)}"


def _environment_before(label: str, rng: random.Random) -> str:
    return f"{rng.choice(ENVIRONMENTS)}-{label}"


def _environment_glued(label: str, rng: random.Random) -> str:
    environment = rng.choice(("dev", "test", "uat", "qa", "stage"))
    return environment + label if rng.random() < 0.5 else label + environment


def _environment_dotted(label: str, rng: random.Random) -> str:
    return f"{rng.choice(ENVIRONMENTS)}.{label}"


def _region(label: str, rng: random.Random) -> str:
    region = rng.choice(REGIONS)
    return f"{label}-{region}" if rng.random() < 0.75 else f"{region}-{label}"


def _role(label: str, rng: random.Random) -> str:
    role = rng.choice(ROLES)
    return f"{label}-{role}" if rng.random() < 0.7 else label + role


def _environment_numbered(label: str, rng: random.Random) -> str:
    return f"{label}-{rng.choice(ENVIRONMENTS)}{rng.choice(('1', '2', '01', '02'))}"


def _date(label: str, rng: random.Random) -> str:
    return f"{label}-{rng.randint(2019, 2026)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"


def _hash(label: str, rng: random.Random) -> str:
    return f"{label}-{rng.getrandbits(28) | 1 << 27:07x}"


def _ticket(label: str, rng: random.Random) -> str:
    return f"{label}-{rng.choice(('ops', 'itsm', 'chg', 'req'))}{rng.randint(1000, 9999)}"


def _initials(label: str, rng: random.Random) -> str:
    return f"{label}-{''.join(rng.choices('abcdefghijklmnoprstvw', k=3))}x"


def _codename(label: str, rng: random.Random) -> str:
    return f"{label}-{coin(rng)}"


Form = Callable[[str, random.Random], str]

HABITS: dict[str, tuple[int, Form]] = {
    "number": (38, _number),
    "environment after": (18, _environment_after),
    "environment before": (9, _environment_before),
    "environment glued": (9, _environment_glued),
    "environment dotted": (6, _environment_dotted),
    "environment numbered": (4, _environment_numbered),
    "region": (8, _region),
    "role": (8, _role),
}
RARITIES: dict[str, tuple[int, Form]] = {
    "date": (1, _date),
    "hash": (1, _hash),
    "ticket": (1, _ticket),
    "initials": (1, _initials),
    "codename": (1, _codename),
}


def permute(label: str, rng: random.Random, *, rare: bool) -> tuple[str, str]:
    """Form a name from `label`: (the form's name, the new label or labels). `rare` forms cannot be guessed."""
    forms = RARITIES if rare else HABITS
    form = rng.choices(list(forms), weights=[weight for weight, _ in forms.values()])[0]
    return form, forms[form][1](label, rng)
