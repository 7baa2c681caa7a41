"""How nodes push one another away: each pair where there are few, and by a mesh where there are many.

The mesh takes the masses of all nodes, convolves them with the force of a unit mass by the fast Fourier transform, and
reads the force at each node (particle mesh, Hockney and Eastwood 1988): its cost grows with the nodes, not their pairs.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.visualization.domain.network import Floats, ranges

#: Up to so many nodes of a connected part every pair is looked at.
FEW: Final = 150
FINEST_MESH: Final = 512
#: Two nodes at one place push one another with a finite force.
SOFT: Final = 1e-4


class Pairs:
    """Every two nodes of each group; ``sizes``: how many nodes those have, which lie one after the other."""

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        begins = np.cumsum(sizes) - sizes
        of_node = np.repeat(sizes, sizes)
        self._first = np.repeat(np.arange(len(of_node), dtype=np.int64), of_node)
        self._second = ranges(np.repeat(begins, sizes), of_node)

    def pushed(self, at: Floats, mass: Floats) -> Floats:
        """The force on each node, m·m'/d away from each other one of its group."""
        apart = at[self._first] - at[self._second]
        share = mass[self._second] / (squared(apart) + SOFT)
        return mass[:, None] * summed(self._first, apart * share[:, None], len(at))


def squared(steps: Floats) -> Floats:
    """The squares of the lengths of steps."""
    return np.asarray(steps[:, 0] * steps[:, 0] + steps[:, 1] * steps[:, 1])


def summed(nodes: NDArray[np.integer[Any]], forces: Floats, size: int) -> Floats:
    """Add up forces by the nodes that they act on."""
    total = np.empty((size, 2))
    total[:, 0] = np.bincount(nodes, forces[:, 0], minlength=size)
    total[:, 1] = np.bincount(nodes, forces[:, 1], minlength=size)
    return total


class Mesh:
    """A square of ``cells`` by ``cells`` over the nodes, laid anew for each force."""

    def __init__(self, nodes: int) -> None:
        self.cells = 32
        while self.cells < FINEST_MESH and self.cells**2 < 1.6 * nodes:
            self.cells *= 2

    def pushed(self, at: Floats, mass: Floats) -> Floats:
        """The force on each node, m·m'/d away from each other one, softened within a cell."""
        low = at.min(axis=0)
        width = max(float((at.max(axis=0) - low).max()), 1e-9) / (self.cells - 1.001)
        place = (at - low) / width
        cell = place.astype(np.int64)
        part = place - cell
        corner = cell[:, 0] * self.cells + cell[:, 1]
        shares = (
            (corner, (1 - part[:, 0]) * (1 - part[:, 1])),
            (corner + 1, (1 - part[:, 0]) * part[:, 1]),
            (corner + self.cells, part[:, 0] * (1 - part[:, 1])),
            (corner + self.cells + 1, part[:, 0] * part[:, 1]),
        )
        masses = sum(np.bincount(where, mass * share, minlength=self.cells**2) for where, share in shares)
        force = np.zeros_like(at)
        across, down = _field(np.asarray(masses).reshape(self.cells, self.cells))
        for where, share in shares:
            force[:, 0] += across[where] * share
            force[:, 1] += down[where] * share
        return force * (mass / width)[:, None]


def _field(masses: Floats) -> tuple[Floats, Floats]:
    """The force on a unit mass in each cell, in single precision: it is off by more within a cell."""
    cells = len(masses)
    across, down = _kernel(cells)
    waves = np.fft.rfft2(masses.astype(np.float32), s=(2 * cells, 2 * cells))
    return (
        np.ascontiguousarray(np.fft.irfft2(waves * across)[:cells, :cells]).ravel(),
        np.ascontiguousarray(np.fft.irfft2(waves * down)[:cells, :cells]).ravel(),
    )


@lru_cache(maxsize=8)
def _kernel(cells: int) -> tuple[NDArray[np.complexfloating[Any, Any]], NDArray[np.complexfloating[Any, Any]]]:
    step = np.fft.fftfreq(2 * cells, 1 / (2 * cells))
    x, y = np.meshgrid(step, step, indexing="ij")
    soft = x**2 + y**2 + 0.25
    return np.fft.rfft2((x / soft).astype(np.float32)), np.fft.rfft2((y / soft).astype(np.float32))
