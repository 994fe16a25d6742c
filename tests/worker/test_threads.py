from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rondo.worker.threads import SideBySide, worth


def test_results_come_in_the_order_of_what_was_asked() -> None:
    """The first waits for the second, so they run side by side; it is yielded first all the same."""
    second = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second.wait(30)
        if number == 1:
            second.set()
        return number * 10

    assert list(SideBySide(2)(work, range(5))) == [0, 10, 20, 30, 40]
    assert list(SideBySide(3)(work, ())) == []


def test_no_more_is_begun_than_there_is_room_for() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = SideBySide(3)(lambda number: number, numbers())
    assert next(results) == 0 and len(taken) == 4
    assert next(results) == 1 and len(taken) == 5
    results.close()
    assert len(taken) == 5 and not [one for one in threading.enumerate() if one.name.startswith("fold")]


def test_the_first_error_is_raised_in_its_turn() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        if number in (3, 4):
            raise ValueError(f"number {number}")
        return number

    results = SideBySide(2)(work, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="number 3"):
        next(results)
    assert max(done) <= 6


def test_a_small_model_is_not_worth_a_thread() -> None:
    assert worth(1000) == 1
    assert 1 <= worth(1 << 30) <= 4
