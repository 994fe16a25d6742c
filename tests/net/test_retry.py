"""Pauses between tries, told by a clock that moves only when somebody sleeps."""

from __future__ import annotations

import random

import pytest

from rondo.base.clock import ManualClock
from rondo.base.errors import Conflict, GaveUp, LedgerBusy, Unreachable
from rondo.net.retry import Backoff, keep_trying

DOWN = Unreachable("nothing listens there", where="server:8002", hint="look")


class Sleeper:
    """Sleeping moves the clock, and is written down."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    def backoff(self, patience: float | None = None, seed: int = 1) -> Backoff:
        return Backoff(random.Random(seed), patience, sleep=self.sleep, clock=self.clock)


async def test_pauses_double_up_to_the_longest_and_half_of_each_is_chance() -> None:
    sleeper = Sleeper()
    tries = sleeper.backoff().tries()
    for _ in range(200):
        await tries.pause(DOWN)
    longest = [min(5.0, 0.25 * 2**n) for n in range(200)]
    assert all(most / 2 <= slept <= most for slept, most in zip(sleeper.slept, longest, strict=True))
    assert len({round(slept, 6) for slept in sleeper.slept}) > 190


async def test_two_clients_do_not_come_back_together_but_a_seed_repeats_itself() -> None:
    pauses = []
    for seed in (1, 2, 1):
        sleeper = Sleeper()
        await sleeper.backoff(seed=seed).tries().pause(DOWN)
        pauses.append(sleeper.slept)
    assert pauses[0] == pauses[2] != pauses[1]


async def test_patience_ends_after_a_last_try() -> None:
    sleeper = Sleeper()
    tries = sleeper.backoff(patience=30.0).tries()
    with pytest.raises(GaveUp) as caught:
        while True:
            await tries.pause(DOWN)
    assert sum(sleeper.slept) == pytest.approx(30.0)
    assert caught.value.exit_code == 10
    assert caught.value.__cause__ is DOWN
    assert str(caught.value) == "server:8002: gave up after 30 s: nothing listens there (look)"


async def test_progress_gives_new_patience_and_short_pauses() -> None:
    sleeper = Sleeper()
    tries = sleeper.backoff(patience=10.0).tries()
    for _ in range(5):
        while sum(sleeper.slept) < 9.0:
            await tries.pause(DOWN)
        sleeper.slept.clear()
        tries.progressed()
        await tries.pause(DOWN)
        assert sleeper.slept[0] <= 0.25


async def test_a_step_is_repeated_only_for_what_can_get_better() -> None:
    sleeper = Sleeper()
    answers: list[Exception | str] = [DOWN, LedgerBusy("locked"), "done", Conflict("no")]

    async def step() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await keep_trying(step, sleeper.backoff(), (Unreachable, LedgerBusy)) == "done"
    assert len(sleeper.slept) == 2
    with pytest.raises(Conflict):
        await keep_trying(step, sleeper.backoff())
    assert len(sleeper.slept) == 2
