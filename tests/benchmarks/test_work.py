"""The work: a right model is found right, and any wrong one wrong."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import work

CLIENTS, ROUNDS, ELEMENTS = 3, 2, 50


def trained() -> list[np.ndarray]:
    """What federated averaging makes of it."""
    arrays = [work.initial(number, ELEMENTS) for number in range(work.ARRAYS)]
    for _ in range(ROUNDS):
        updates = [[work.train(array.copy(), client) for array in arrays] for client in range(CLIENTS)]
        arrays = [np.mean(column, axis=0, dtype=np.float64).astype(np.float32) for column in zip(*updates, strict=True)]
    return arrays


def test_the_mean_is_right() -> None:
    assert work.is_right(trained(), CLIENTS, ROUNDS)


@pytest.mark.parametrize("wrong", ["one value", "a round less", "an array less", "another order", "float64"])
def test_anything_else_is_wrong(wrong: str) -> None:
    arrays, rounds = trained(), ROUNDS
    if wrong == "one value":
        arrays[7][-1] += 0.01
    elif wrong == "a round less":
        rounds -= 1
    elif wrong == "an array less":
        arrays.pop()
    elif wrong == "another order":
        arrays.reverse()
    else:
        arrays[0] = arrays[0].astype(np.float64)
    assert not work.is_right(arrays, CLIENTS, rounds)


def test_a_read_only_array_is_trained_too() -> None:
    array = work.initial(0, ELEMENTS)
    array.flags.writeable = False
    assert np.array_equal(work.train(array, 1), array + np.float32(2))


def test_no_two_updates_and_no_two_arrays_are_alike() -> None:
    arrays = {work.initial(number, ELEMENTS).tobytes() for number in range(work.ARRAYS)}
    assert len(arrays) == work.ARRAYS
    assert len({work.train(work.initial(0, ELEMENTS), client).tobytes() for client in range(CLIENTS)}) == CLIENTS
