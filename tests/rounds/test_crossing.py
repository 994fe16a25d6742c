"""Who is asked in cross-site validation, and which of its rounds comes next."""

from __future__ import annotations

import pytest

from rondo.rounds import events as e
from rondo.rounds.crossing import Crossed, asked, following
from rondo.rounds.orders import Facts, Holding, Nothing, OpenRound, Recall, Work, next_order
from rondo.rounds.round import Plan, Round, State
from rondo.rounds.workflow import Step


@pytest.mark.parametrize(
    ("state", "cross", "train", "collect"),
    [
        ("prepared", True, True, True),
        ("prepared", False, True, False),
        ("validating", True, False, True),
        ("preparing", True, True, False),
        ("stopped", True, False, False),
        ("failed", True, False, False),
    ],
)
def test_who_is_asked(state: str, cross: bool, train: bool, collect: bool) -> None:
    assert [asked(task, state, cross) for task in ("train", "validate")] == [train] * 2
    assert [asked(task, state, cross) for task in ("collect", "cross")] == [collect] * 2


def test_models_are_collected_once_and_validated_one_after_the_other() -> None:
    assert following(5, 5, Crossed()) == Step("finish", 5, 5)
    assert following(5, 3, Crossed(taking_part=True)) == Step("collect", 6, 3)
    models = Crossed(taking_part=True, collected=True, rounds=(7, 8, 9))
    assert following(5, 3, models) == Step("cross", 7, 3)
    # Where everybody has left meanwhile it is brought to its end all the same.
    assert following(5, 3, Crossed(False, True, (7, 8, 9), {7, 8})).round == 9
    assert following(5, 3, Crossed(True, True, (7, 8, 9), {7, 8, 9})).task == "finish"


def test_a_round_of_it_waits_for_those_who_can_answer_and_no_longer_than_its_time() -> None:
    plan = Plan(0, 600.0, grace=("why", "then"))
    round_ = Round(plan)
    assert [*round_.open(), *round_.handle(e.ClientJoined("a"))][1:3] == [e.NoteEnough(), e.SetTimer("grace", 600.0)]
    round_.handle(e.ClientJoined("b"))
    assert (round_.waiting().clients, round_.waiting().why, round_.waiting().then) == (("a", "b"), "why", "then")
    assert round_.handle(e.TaskFailed("a", {})) == [e.Announce()], "no failure ends it"
    assert round_.handle(e.ClientLeft("b")) == [e.Fold()]

    late = Round(plan)
    late.handle(e.ClientJoined("a"))
    assert late.handle(e.TimeUp("grace")) == [e.Fold()]
    assert Round(plan).handle(e.TimeUp("grace")) == [e.Fold()], "nobody is there"


def test_a_round_that_nobody_trains_in_any_more_is_left_unless_it_has_enough() -> None:
    left = Round(Plan(2, 10.0))
    for event in (e.ClientJoined("a"), e.ClientJoined("b"), e.UpdateArrived("a"), e.ClientLeft("b")):
        left.handle(event)
    assert left.handle(e.NobodyTrains()) == [e.Leave()]
    assert (left.state, left.over, left.handle(e.UpdateArrived("b"))) == (State.LEFT, True, [])

    enough = Round(Plan(1, 10.0))
    for event in (e.ClientJoined("a"), e.ClientJoined("b"), e.UpdateArrived("a")):
        enough.handle(event)
    assert enough.handle(e.ClientLeft("b")) == [e.Fold()]
    assert enough.handle(e.NobodyTrains()) == []


def test_a_client_whose_training_was_aborted_stops_it_and_comes_back_to_validate() -> None:
    training = Facts(run=7, part="validating", open_round=OpenRound(3, "train", "open", answered=True))
    assert next_order(training, Holding(7, "working", 3, "train")) == Recall(7)
    assert isinstance(next_order(training, Holding(7, "ready", -1, "")), Nothing)
    crossing = Facts(run=7, part="validating", open_round=OpenRound(9, "cross", "open", answered=False))
    assert next_order(crossing, Holding(7, "ready", -1, "")) == Work(7, 9, "cross")
    assert isinstance(next_order(crossing, Holding(7, "working", 9, "cross")), Nothing)
