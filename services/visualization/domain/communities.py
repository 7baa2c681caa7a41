"""What hangs together more than by chance: communities by modularity (Louvain, Blondel and others 2008).

All nodes of one half choose at once, then those of the other, so that each round is a few calls of numpy; what moves is
decided by numbers alone, so that the same graph falls apart in the same way.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.visualization.domain.network import Floats, Ints, Network, network, scattered

ROUNDS: Final = 12
DEEPEST: Final = 12
#: A round in which fewer than this share move is the last one.
SETTLED: Final = 0.005

Check = Callable[[], None]


def communities(graph: Network, check: Check) -> Iterator[Ints]:
    """Say in which community each node is: first in small ones, then in what those fall into, as long as they do."""
    whole = np.arange(graph.size, dtype=np.int32)
    own: Floats = np.zeros(graph.size)
    for _ in range(DEEPEST):
        label = _chosen(graph, own, check)
        size = int(label.max(initial=-1)) + 1
        if size == graph.size:
            return
        whole = label[whole]
        yield whole
        inside = label[graph.source] == label[graph.target]
        joined = np.bincount(label[graph.source[inside]], graph.weight[inside], minlength=size)
        own = np.asarray(np.bincount(label, own, minlength=size) + 2 * joined, dtype=np.float64)
        graph = network(size, label[graph.source], label[graph.target], graph.weight)


def _chosen(graph: Network, own: Floats, check: Check) -> Ints:
    """Let each node join the neighbour's community that it has most to do with, beyond what chance would give."""
    strength = own + np.bincount(graph.source, graph.weight, minlength=graph.size)
    strength += np.bincount(graph.target, graph.weight, minlength=graph.size)
    whole = float(strength.sum())
    label = np.arange(graph.size, dtype=np.int64)
    half = scattered(label) < 0.5
    node = np.concatenate([graph.source, graph.target]).astype(np.int64)
    other = np.concatenate([graph.target, graph.source])
    weight = np.concatenate([graph.weight, graph.weight])
    for turn in range(ROUNDS):
        check()
        moving = half[node] if turn % 2 else ~half[node]
        key = node[moving] * graph.size + label[other[moving]]
        order = np.argsort(key)
        begins = _begins(key[order])
        if not len(begins):
            continue
        joined = np.add.reduceat(weight[moving][order], begins)
        who, where = np.divmod(key[order][begins], graph.size)
        total = np.bincount(label, strength, minlength=graph.size)
        home = where == label[who]
        gain = joined - strength[who] * (total[where] - strength[who] * home) / whole
        stay = -strength * (total[label] - strength) / whole
        stay[who[home]] = gain[home]
        of_who = _begins(who)
        most = np.maximum.reduceat(gain, of_who)
        first = np.flatnonzero(gain == np.repeat(most, np.diff(np.append(of_who, len(who)))))
        best = first[_begins(who[first])]
        better = best[gain[best] > stay[who[best]] + 1e-9]
        label[who[better]] = where[better]
        if turn % 2 and len(better) < SETTLED * graph.size:
            break
    return np.unique(label, return_inverse=True)[1].astype(np.int32)


def _begins(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where another key begins, of keys in order."""
    return np.flatnonzero(np.concatenate([[len(keys) > 0], keys[1:] != keys[:-1]])[: len(keys)])
