"""The work that every system does: the same lines run inside Rondo, NVFlare and Flower (NumPy is all they need).

A model of 20 float32 arrays of equal length, drawn from a fixed seed so that no two arrays are alike and nothing can
be sent once for many. "Training" adds a constant that differs by client, so that no two updates are alike and the
right mean is known: after r rounds of n clients each value has grown by r times the mean of 1..n.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

ARRAYS = 20
TOLERANCE = 1e-5  # float32: a few units in the last place a round, relative to values of order one to ten


def count(megabytes: float) -> int:
    """Elements of each array of a model of so many MB (10^6 bytes)."""
    return max(1, int(megabytes * 1e6 / 4 / ARRAYS))


def size(megabytes: float) -> int:
    """Bytes of the values of such a model."""
    return count(megabytes) * 4 * ARRAYS


def initial(number: int, elements: int) -> np.ndarray:
    """Array ``number`` (0..19) of the first model, float32, shape (elements,)."""
    return np.random.default_rng(number).standard_normal(elements, dtype=np.float32)


def constant(client: int) -> np.float32:
    """What client 0, 1, ... adds."""
    return np.float32(client + 1)


def train(array: np.ndarray, client: int) -> np.ndarray:
    """The trained array: in place where the system lets a trainer do so, else a new one."""
    if array.flags.writeable:
        array += constant(client)
        return array
    return array + constant(client)


def is_right(arrays: Iterable[np.ndarray], clients: int, rounds: int) -> bool:
    """Is this the mean that ``rounds`` rounds of ``clients`` clients give? Every value of all arrays, in order."""
    growth = rounds * (clients + 1) / 2
    seen = 0
    for number, array in enumerate(arrays):
        expected = initial(number, array.size) + np.float32(growth)
        if array.dtype != np.float32 or not np.allclose(
            array.ravel(), expected, rtol=TOLERANCE, atol=TOLERANCE * growth
        ):
            return False
        seen += 1
    return seen == ARRAYS
