"""One round as the specification tells it (6.2, C1, C8 to C10), and what is better: failures, timeout, early end."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rondo.rounds.events import (
    Abandon,
    Aborted,
    Announce,
    ClientJoined,
    ClientLeft,
    Command,
    Commit,
    Event,
    Fail,
    Fold,
    Folded,
    FoldFailed,
    NoteEnough,
    SetTimer,
    TaskFailed,
    TimeUp,
    UpdateArrived,
)
from rondo.rounds.round import Plan, Round, State

GRACE = 10.0
BROKEN = {"error": "ZeroDivisionError", "site": "a"}
WORSE = {"error": "MemoryError", "site": "b"}


def opened(min_clients: int, *clients: str, grace: float = GRACE, timeout: float | None = None) -> Round:
    """A round that these clients may answer."""
    this = Round(Plan(min_clients, grace, timeout))
    this.open()
    tell(this, map(ClientJoined, clients))
    return this


def tell(this: Round, news: Iterable[Event]) -> list[Command]:
    return [command for event in news for command in this.handle(event)]


def arrive(this: Round, *clients: str) -> list[Command]:
    return tell(this, map(UpdateArrived, clients))


# ---- enough, grace, late ------------------------------------------------------------------------------------------


def test_a_round_without_enough_answers_stays_open() -> None:
    """Fewer than min_num_clients: no aggregation, and no clock runs."""
    this = opened(2, "a", "b", "c")
    assert arrive(this, "a") == [Announce()]
    assert this.state is State.OPEN
    assert this.waiting().clients == ("b", "c")
    assert this.waiting().why == "1 more needed"


def test_faq_C9_a_lone_client_trains_at_once_and_the_round_waits_for_a_second() -> None:
    this = opened(2, "a")
    assert arrive(this, "a") == [Announce()]
    assert this.waiting().clients == ()
    assert this.waiting().why == "1 more needed, 0 can answer"
    assert this.waiting().then == "waits for another client to log in"
    assert tell(this, [ClientJoined("b")]) == [Announce()]
    assert arrive(this, "b") == [Fold()]


def test_faq_C10_with_enough_the_others_get_a_little_longer() -> None:
    this = opened(2, "a", "b", "c")
    assert arrive(this, "a", "b") == [Announce(), NoteEnough(), SetTimer("grace", GRACE), Announce()]
    assert this.state is State.GRACE
    assert this.waiting().clients == ("c",)
    assert this.waiting().then == "aggregates without them"


def test_faq_C10a_within_the_grace_a_third_update_is_taken_too() -> None:
    this = opened(2, "a", "b", "c")
    arrive(this, "a", "b")
    assert arrive(this, "c") == [Fold()], "the last that can answer has: the rest of the grace is not waited for"
    assert this.answered == {"a", "b", "c"}


def test_faq_C10b_after_the_grace_it_folds_without_the_third_and_late_news_changes_nothing() -> None:
    this = opened(2, "a", "b", "c")
    arrive(this, "a", "b")
    assert tell(this, [TimeUp("grace")]) == [Fold()]
    assert arrive(this, "c") == []
    assert this.answered == {"a", "b"}


def test_the_grace_ends_when_those_still_missing_have_gone() -> None:
    this = opened(2, "a", "b", "c", "d")
    arrive(this, "a", "b")
    assert tell(this, [ClientLeft("c")]) == [Announce()]
    assert tell(this, [TaskFailed("d", BROKEN)]) == [Fold()], "a failure that leaves enough does not fail the round"


def test_without_a_grace_wait_enough_is_enough() -> None:
    this = opened(2, "a", "b", "c", grace=0.0)
    assert arrive(this, "a", "b") == [Announce(), Fold()]


def test_everybody_has_answered_and_nobody_is_waited_for() -> None:
    assert arrive(opened(1, "a"), "a") == [Fold()]


def test_an_answer_counts_once() -> None:
    this = opened(2, "a", "b")
    assert arrive(this, "a", "a", "a") == [Announce()] * 3
    assert this.state is State.OPEN


def test_the_grace_wait_begins_once() -> None:
    this = opened(1, "a", "b", "c")
    arrive(this, "a")
    assert arrive(this, "a", "b") == [Announce(), Announce()]


def test_a_grace_wait_of_an_earlier_round_does_not_hurry_this_one() -> None:
    this = opened(2, "a", "b", "c")
    assert tell(this, [TimeUp("grace")]) == [Announce()]
    assert NoteEnough() in arrive(this, "a", "b")


# ---- joining and leaving ------------------------------------------------------------------------------------------


def test_faq_C1_a_newcomer_takes_part_in_the_round_that_is_open() -> None:
    this = opened(2, "a", "b")
    arrive(this, "a")
    assert tell(this, [ClientJoined("late")]) == [Announce()]
    assert NoteEnough() in arrive(this, "late")
    assert this.waiting().clients == ("b",)


def test_faq_C1_a_newcomer_in_the_grace_is_waited_for_too() -> None:
    this = opened(1, "a", "b")
    arrive(this, "a")
    tell(this, [ClientJoined("late")])
    assert arrive(this, "b") == [Announce()]
    assert arrive(this, "late") == [Fold()]


def test_faq_C8_who_left_is_not_waited_for_and_who_is_back_is() -> None:
    this = opened(1, "a", "b", "c")
    arrive(this, "a")
    tell(this, [ClientLeft("b")])
    assert this.waiting().clients == ("c",)
    tell(this, [ClientJoined("b")])
    assert this.waiting().clients == ("b", "c")
    assert arrive(this, "b", "c") == [Announce(), Fold()]


def test_an_update_counts_though_its_client_has_left() -> None:
    this = opened(2, "a", "b")
    arrive(this, "a")
    tell(this, [ClientLeft("a")])
    assert arrive(this, "b") == [Fold()]
    assert this.answered == {"a", "b"}


def test_when_everybody_has_left_the_round_waits_for_somebody_to_log_in() -> None:
    this = opened(2, "a", "b")
    assert tell(this, [ClientLeft("a"), ClientLeft("b")]) == [Announce(), Announce()]
    assert this.waiting().then == "waits for another client to log in"


# ---- failures -----------------------------------------------------------------------------------------------------


def test_a_failure_is_borne_while_enough_can_still_answer() -> None:
    this = opened(2, "a", "b", "c")
    assert tell(this, [TaskFailed("a", BROKEN)]) == [Announce()]
    assert this.waiting().clients == ("b", "c")
    assert arrive(this, "b", "c") == [Announce(), Fold()]


def test_a_round_that_cannot_get_enough_any_more_fails_with_the_first_failure() -> None:
    this = opened(2, "a", "b", "c")
    tell(this, [TaskFailed("a", BROKEN)])
    assert tell(this, [TaskFailed("b", WORSE)]) == [Fail(BROKEN)]
    assert this.over


def test_after_a_failure_one_that_leaves_can_end_the_round_too() -> None:
    this = opened(2, "a", "b", "c")
    tell(this, [TaskFailed("a", BROKEN), UpdateArrived("b")])
    assert tell(this, [ClientLeft("c")]) == [Fail(BROKEN)]


def test_the_first_failure_of_a_client_is_kept() -> None:
    this = opened(2, "a", "b", "c")
    tell(this, [TaskFailed("a", BROKEN), TaskFailed("a", WORSE)])
    assert tell(this, [ClientLeft("b")]) == [Fail(BROKEN)]


def test_who_has_answered_cannot_fail_any_more() -> None:
    this = opened(2, "a", "b")
    arrive(this, "a")
    assert tell(this, [TaskFailed("a", BROKEN)]) == [Announce()]
    assert arrive(this, "b") == [Fold()]


def test_who_failed_and_answers_in_the_end_counts() -> None:
    this = opened(2, "a", "b", "c")
    tell(this, [TaskFailed("a", BROKEN)])
    assert arrive(this, "a", "b") == [Announce(), NoteEnough(), SetTimer("grace", GRACE), Announce()]


def test_a_failure_that_was_made_good_fails_no_round() -> None:
    this = opened(2, "a", "b")
    tell(this, [TaskFailed("a", BROKEN)])
    assert this.over, "there was nobody else"
    this = opened(2, "a", "b", "c")
    tell(this, [TaskFailed("a", BROKEN), UpdateArrived("a"), ClientLeft("b")])
    assert tell(this, [ClientLeft("c")]) == [Announce()], "it waits for somebody to log in, as without a failure"


# ---- round timeout ------------------------------------------------------------------------------------------------


def test_without_a_round_timeout_no_clock_runs() -> None:
    assert Round(Plan(2, GRACE)).open() == [Announce()]


def test_the_round_timeout_runs_from_the_start() -> None:
    assert Round(Plan(2, GRACE, 60.0)).open() == [SetTimer("round", 60.0), Announce()]


def test_a_round_timeout_with_enough_closes_the_round_with_what_it_has() -> None:
    this = opened(2, "a", "b", "c", grace=1000.0, timeout=60.0)
    arrive(this, "a", "b")
    assert tell(this, [TimeUp("round")]) == [Fold()]


def test_a_round_timeout_without_enough_says_so_and_folds_with_the_update_that_suffices() -> None:
    this = opened(3, "a", "b", "c", "d", timeout=60.0)
    arrive(this, "a")
    assert tell(this, [TimeUp("round")]) == [Announce()]
    assert this.waiting().why == "round timeout passed; 2 more needed"
    assert this.waiting().then == "aggregates with the update that suffices"
    assert this.waiting().clients == ("b", "c", "d")
    assert arrive(this, "b", "c") == [Announce(), Fold()]


# ---- the end ------------------------------------------------------------------------------------------------------


def folding() -> Round:
    this = opened(1, "a")
    arrive(this, "a")
    return this


def test_a_folded_round_is_committed() -> None:
    this = folding()
    assert not this.over
    assert this.handle(Folded()) == [Commit()]
    assert this.state is State.COMMITTED and this.over


def test_what_cannot_be_folded_fails_the_round() -> None:
    this = folding()
    assert this.handle(FoldFailed(WORSE)) == [Fail(WORSE)]
    assert this.state is State.FAILED


@pytest.mark.parametrize("this", [opened(2, "a"), opened(1, "a", "b"), folding()], ids=["open", "waiting", "folding"])
def test_a_round_can_be_aborted_until_it_ends(this: Round) -> None:
    assert this.handle(Aborted("enough of it")) == [Abandon("enough of it")]
    assert this.state is State.ABORTED and this.waiting().clients == ()


def ended(last: Event) -> Round:
    this = folding()
    this.handle(last)
    return this


NEWS: list[Event] = [
    ClientJoined("x"), ClientLeft("a"), UpdateArrived("x"), TaskFailed("x", WORSE), TimeUp("grace"), TimeUp("round"),
    Folded(), FoldFailed(WORSE), Aborted("again"),
]  # fmt: skip


@pytest.mark.parametrize("last", [Folded(), FoldFailed(BROKEN), Aborted("over")])
def test_nothing_after_the_end_changes_anything(last: Event) -> None:
    this = ended(last)
    state, answered = this.state, set(this.answered)
    assert tell(this, NEWS) == []
    assert (this.state, this.answered) == (state, answered)


def test_what_comes_while_it_folds_changes_nothing_but_its_end() -> None:
    this = folding()
    assert tell(this, NEWS[:6]) == []
    assert this.answered == {"a"} and this.state is State.FOLDING


def test_folded_is_no_news_to_a_round_that_has_not_asked_for_it() -> None:
    this = opened(2, "a", "b")
    assert tell(this, [Folded(), FoldFailed(BROKEN)]) == [Announce(), Announce()]
    assert this.state is State.OPEN
