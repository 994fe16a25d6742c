"""What a waiting client is told next, case by case."""

from __future__ import annotations

import pytest

from rondo.rounds.orders import (
    Ask,
    Engage,
    Facts,
    Holding,
    Leave,
    Nothing,
    OpenRound,
    Order,
    Recall,
    Work,
    failure,
    next_order,
)

IDLE = Holding(0, "idle", -1, "")
READY = Holding(7, "ready", -1, "")
OPEN = OpenRound(3, "train", "open", answered=False)


def facts(part: str = "prepared", this: OpenRound | None = OPEN, **more: object) -> Facts:
    """A client that takes part in run 7."""
    return Facts(run=7, part=part, open_round=this, **more)  # type: ignore[arg-type]


def waits_for(order: Order) -> str:
    assert isinstance(order, Nothing), order
    return order.waiting_for


def test_a_client_that_is_ready_gets_the_open_round() -> None:
    assert next_order(facts(), READY) == Work(7, 3, "train")


def test_a_client_in_no_run_waits_for_one() -> None:
    assert waits_for(next_order(Facts(), IDLE)) == "a run to take part in"


@pytest.mark.parametrize("part", ["invited", "preparing", "prepared"])
def test_a_client_that_should_take_part_and_does_not_is_engaged(part: str) -> None:
    """``prepared`` as well: its process was killed, the one that came back holds nothing."""
    assert next_order(facts(part), IDLE) == Engage(7)


def test_an_admins_wish_goes_before_everything() -> None:
    assert next_order(facts(leave="shutdown", ask=True), READY) == Leave(restart=False)
    assert next_order(facts(leave="restart"), READY) == Leave(restart=True)


def test_control_is_never_behind_training() -> None:
    assert next_order(facts(ask=True), Holding(7, "working", 3, "train")) == Ask()


@pytest.mark.parametrize("part", ["stopped", "failed"])
@pytest.mark.parametrize("phase", ["preparing", "ready", "working", "failed"])
def test_a_client_that_takes_no_part_any_more_is_recalled(part: str, phase: str) -> None:
    assert next_order(facts(part), Holding(7, phase, 3, "train")) == Recall(7)
    assert waits_for(next_order(facts(part), IDLE)) == f"run 7 goes on without this client ({part})"


def test_a_client_is_recalled_from_a_run_that_is_over_before_it_is_engaged_for_the_next() -> None:
    assert next_order(facts(), Holding(6, "working", 9, "train")) == Recall(6)
    assert next_order(Facts(), READY) == Recall(7)


@pytest.mark.parametrize("phase", ["preparing", "ready", "working", "failed"])
def test_a_client_invited_anew_begins_anew(phase: str) -> None:
    """Aborted and started again before it noticed: the package it was given may be another one."""
    assert next_order(facts("invited"), Holding(7, phase, 3, "train")) == Recall(7)


@pytest.mark.parametrize(
    ("this", "holding", "said"),
    [
        (None, READY, "the first round to open"),
        (OPEN, Holding(7, "preparing", -1, ""), "this client's own preparation"),
        (OPEN, Holding(7, "working", 3, "train"), "this client's own work on round 3"),
        (OPEN, Holding(7, "working", 2, "train"), "this client's own work on round 2"),
        (OpenRound(3, "train", "open", True), READY, "the others, in round 3"),
        (OpenRound(3, "train", "folding", True), READY, "round 3 to end"),
        (OpenRound(3, "train", "folding", False), READY, "round 3 to end"),
        (OpenRound(3, "train", "committed", True), READY, "the next round to open"),
        (OpenRound(3, "train", "committed", False), READY, "the next round to open"),
    ],
)
def test_who_waits_is_told_for_what(this: OpenRound | None, holding: Holding, said: str) -> None:
    assert waits_for(next_order(facts(this=this), holding)) == said


def test_a_failure_has_the_line_that_people_read_first() -> None:
    assert failure("no") == {"error": "no", "site": "", "round": -1}
    kept = failure("no", site="a", round_number=3, detail={"line": 4, "file": "net.py"})
    assert kept == {"error": "no", "site": "a", "round": 3, "line": 4, "file": "net.py"}
