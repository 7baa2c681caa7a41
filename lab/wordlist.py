"""The word list for brute force: every word that reveals something, hidden among plausible others."""

import random

from lab.generate.naming import vocabulary
from lab.world import World

SIZE = 5000
SUFFIXES = ("1", "2", "3", "01", "02", "-old", "-new", "-api", "-app", "-web", "-gw", "-db", "-int", "-ext")


def make_wordlist(world: World, size: int = SIZE) -> list[str]:
    """`size` words, sorted; none of them is the first label of a name that only another way reveals."""
    rng = random.Random(f"{world.seed} words")
    only_elsewhere = {
        host.name.split(".")[0] for host in world.hosts if host.kind not in ("target", "passive", "brute", "deeper")
    }
    chosen = set(world.words)
    for word in vocabulary():
        if len(chosen) < size and word not in only_elsewhere:
            chosen.add(word)
    while len(chosen) < size:
        word = rng.choice(vocabulary()) + rng.choice(SUFFIXES)
        if word not in only_elsewhere:
            chosen.add(word)
    return sorted(chosen)
