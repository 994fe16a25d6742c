"""The state behind the live view: events in, state out, and nothing that strangers send can break it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.console.board import KEPT, Board, Seat, noted, step
from rondo.console.telling import LONGEST, clean, telling

START = 1_795_000_000.0


def numbered(*events: tuple[float, str, dict[str, Any]], run: int = 7) -> list[Mapping[str, Any]]:
    """Events as the ledger gives them, from (second, kind, data); what concerns the server itself has run 0."""
    own = {"client_joined", "client_away", "client_back", "client_gone"}
    return [
        {"number": number, "at": START + at, "run": 0 if kind in own else run, "kind": kind, "data": data}
        for number, (at, kind, data) in enumerate(events, 1)
    ]


def play(events: Iterable[Mapping[str, Any]], board: Board | None = None) -> Board:
    board = board if board is not None else Board()
    for event in events:
        board = step(board, event)
    return board


def accepted(client: str, number: int, auc: float, task: str = "train") -> dict[str, Any]:
    metrics = {"auc": auc, "loss": 1 - auc}
    return {"client": client, "round": number, "task": task, "samples": 10.0, "metrics": metrics, "size": 4096}


def committed(number: int, auc: float, task: str = "train") -> dict[str, Any]:
    metrics = {"auc": auc, "loss": 1 - auc}
    return {
        "round": number,
        "task": task,
        "version": number + 1,
        "metrics": metrics,
        "contributors": ["a", "b"],
        "seconds": 4.0,
    }


STORY = numbered(
    (0.0, "client_joined", {"client": "a", "address": "ipv4:1"}),
    (0.1, "client_joined", {"client": "b", "address": "ipv4:2"}),
    (1.0, "run_submitted", {"job": "thyroid", "number": 1, "rounds": 3, "by": "admin"}),
    (1.1, "run_dispatching", {"round": 0, "rounds": 3}),
    (1.2, "waiting", {"for": ["a", "b"], "why": "2 more needed", "then": "opens the first round"}),
    (1.3, "client_prepared", {"client": "a"}),
    (1.4, "client_prepared", {"client": "b"}),
    (1.5, "run_running", {"round": 0, "rounds": 3}),
    (1.6, "round_opened", {"round": 0, "rounds": 3, "task": "train"}),
    (1.7, "progress", {"client": "a", "round": 0, "phase": "downloading", "fraction": 0.0, "detail": ""}),
    (2.0, "progress", {"client": "a", "round": 0, "phase": "training", "fraction": 0.6, "detail": "epoch 3"}),
    (3.0, "update_accepted", accepted("a", 0, 0.5)),
    (3.1, "waiting", {"round": 0, "for": ["b"], "why": "1 more needed", "then": "aggregates"}),
    (3.5, "progress", {"client": "b", "round": 0, "phase": "uploading", "fraction": 0.43, "detail": ""}),
    (4.0, "client_away", {"client": "b", "reason": "silent"}),
    (5.0, "client_back", {"client": "b"}),
    (5.5, "update_accepted", accepted("b", 0, 0.6)),
    (5.6, "round_folding", {"round": 0}),
    (5.8, "round_committed", committed(0, 0.55)),
    (5.8, "new_best", {"version": 0, "metric": "auc", "value": 0.55}),
    (6.0, "round_opened", {"round": 1, "rounds": 3, "task": "train"}),
    (6.5, "update_refused", {"client": "a", "round": 1, "reason": "NaN in hidden.weight"}),
    (6.6, "worker_line", {"client": "a", "text": "loss 0.3"}),
    (6.7, "recovered", {"text": "the server is back; run 7 goes on in round 1"}),
    (9.8, "round_committed", committed(1, 0.8)),
    (10.0, "round_opened", {"round": 2, "rounds": 3, "task": "train"}),
    (13.8, "round_committed", committed(2, 0.9)),
    (14.0, "run_validating", {"round": 0, "rounds": 3}),
    (14.1, "round_opened", {"round": 3, "rounds": 3, "task": "validate"}),
    (14.5, "update_accepted", accepted("a", 3, 0.95, task="validate")),
    (14.6, "round_committed", committed(3, 0.95, task="validate")),
    (15.0, "run_finished", {}),
)


def until(kind: str, times: int = 1) -> Board:
    """The board after the event of this kind, or after the one that came as the ``times``-th."""
    board = Board()
    for event in STORY:
        board = step(board, event)
        times -= event["kind"] == kind
        if times == 0:
            return board
    raise AssertionError(kind)


def test_a_whole_run() -> None:
    board = play(STORY)
    assert (board.run, board.job, board.state) == (7, "thyroid", "finished")
    assert (board.committed, board.rounds, board.metric) == (3, 3, "auc")
    assert board.means == (0.55, 0.8, 0.9, 0.95)
    assert (board.best, board.best_version) == (0.55, 0)
    assert board.took == (4.0, 4.0, 4.0)
    assert (board.started, board.ended) == (START + 1.0, START + 15.0)
    assert {client: seat.contributions for client, seat in board.seats.items()} == {"a": 1, "b": 1}
    assert board.seats["a"].metrics["auc"] == 0.95
    assert {seat.doing for seat in board.seats.values()} == {""}
    assert board.waiting is None


def test_what_a_client_does_is_seen() -> None:
    assert until("client_joined", 2).seats == {"a": Seat(), "b": Seat()}
    assert until("client_prepared").seats["a"].doing == "ready"
    assert until("round_opened").seats["b"].doing == "due"
    loading, training = until("progress").seats["a"], until("progress", 2).seats["a"]
    assert (loading.doing, loading.fraction) == ("downloading", None)
    assert (training.doing, training.fraction, training.detail) == ("training", 0.6, "epoch 3")
    done = until("update_accepted").seats["a"]
    assert (done.doing, done.fraction, done.contributions) == ("done", None, 1)
    assert until("update_refused").seats["a"].doing == "refused"


def test_a_client_that_is_away_is_still_known_to_have_uploaded() -> None:
    away, back = until("client_away").seats["b"], until("client_back").seats["b"]
    assert away.away and (away.doing, away.fraction) == ("uploading", 0.43)
    assert not back.away and back.doing == "uploading"


def test_who_is_waited_for_since_when_and_then_what() -> None:
    waiting = until("waiting", 2).waiting
    assert waiting is not None
    assert (waiting.clients, waiting.since, waiting.why, waiting.then) == (
        ("b",),
        START + 3.1,
        "1 more needed",
        "aggregates",
    )
    assert until("run_running").waiting is None
    assert until("round_folding").waiting is None
    longer = step(until("waiting", 2), {"at": START + 9, "run": 7, "kind": "waiting", "data": {"for": ["b"]}})
    assert longer.waiting is not None and longer.waiting.since == START + 3.1


def test_what_is_left_is_judged_by_the_rounds_that_were() -> None:
    assert until("run_running").left(START + 2) is None
    assert until("round_committed").left(START + 5.8) == pytest.approx(8.0)
    assert until("round_opened", 2).left(START + 7.0) == pytest.approx(7.0)
    assert until("round_opened", 2).left(START + 700.0) == 0.0
    assert play(STORY).left(START + 20) is None


def test_a_run_that_starts_later_counts_from_there() -> None:
    events = numbered((0, "run_running", {"round": 10, "rounds": 12}), (1, "round_committed", committed(10, 0.5)))
    board = play(events)
    assert (board.first, board.committed, board.rounds) == (10, 1, 12)
    assert board.left(START + 1) == pytest.approx(4.0)


def test_the_metric_that_was_asked_for_is_followed() -> None:
    assert play(STORY, Board(metric="loss")).means == pytest.approx((0.45, 0.2, 0.1, 0.05))
    assert play(STORY, Board(metric="dice")).means == ()


def test_a_note_that_the_next_round_overtook_changes_nothing() -> None:
    board = until("round_opened", 2)
    late = {"client": "b", "round": 0, "phase": "training", "fraction": 0.9}
    assert step(board, {"at": START, "run": 7, "kind": "progress", "data": late}).seats == board.seats


def test_failed_clients_stay_out_until_they_are_prepared_again() -> None:
    events = numbered(
        (0, "client_failed", {"client": "a", "error": "No module named 'monai'", "traceback": "..."}),
        (1, "round_opened", {"round": 0, "rounds": 2}),
    )
    board = play(events)
    assert board.seats["a"].doing == "failed"
    assert board.messages[-1].text == "a cannot prepare: No module named 'monai'"
    assert board.messages[-1].mark == "bad"
    assert step(board, {"run": 7, "kind": "client_prepared", "data": {"client": "a"}}).seats["a"].doing == "ready"


def test_a_client_that_starts_again_has_still_given_its_update() -> None:
    joined = {"run": 0, "kind": "client_joined", "data": {"client": "a"}}
    assert step(until("update_accepted"), joined).seats["a"].doing == "done"
    assert step(until("progress", 2), joined).seats["a"].doing == "here"


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("run_failed", {"error": "boom", "site": "a", "round": 2}, "the run failed at a in round 2: boom"),
        ("run_failed", {"error": "boom", "site": "a", "round": -1}, "the run failed at a: boom"),
        ("run_aborted", {"reason": "by admin"}, "the run was aborted: by admin"),
        ("run_aborted", {}, "the run was aborted: no reason given"),
    ],
)
def test_how_a_run_ended_is_said(kind: str, data: dict[str, Any], said: str) -> None:
    board = step(until("round_opened"), {"at": START + 3, "run": 7, "kind": kind, "data": data})
    assert board.state == kind.removeprefix("run_") and board.ended == START + 3
    assert board.messages[-1].text == said and board.messages[-1].mark == "bad"
    assert board.failure == (data if kind == "run_failed" else {})


def test_progress_and_waits_are_shown_and_not_said() -> None:
    texts = [message.text for message in play(STORY).messages]
    assert len(texts) == play(STORY).said == 18
    assert "round 1 is done: auc 0.8, loss 0.2 (2 clients, 4.0 s)" in texts
    assert "final validation is done: auc 0.95, loss 0.05 (2 clients, 4.0 s)" in texts
    assert "a: update refused: NaN in hidden.weight" in texts
    assert "[a] loss 0.3" in texts


def test_messages_are_bounded_and_counted() -> None:
    board = Board()
    for count in range(KEPT + 50):
        board = noted(board, 0.0, f"line {count}")
    assert len(board.messages) == KEPT and board.said == KEPT + 50
    assert board.messages[-1].text == f"line {KEPT + 49}"
    assert noted(board, 0.0, "") is board


def test_another_run_is_none_of_our_business() -> None:
    board = until("round_opened")
    other = {"number": 10_000, "at": START, "run": 8, "kind": "run_failed", "data": {"error": "x"}}
    assert step(board, other) is board


def test_the_board_that_was_stays_as_it_was() -> None:
    board = until("update_accepted")
    before = copy.deepcopy(board)
    play(STORY, board)
    assert board == before


@given(st.integers(0, len(STORY)), st.integers(0, len(STORY)))
def test_a_stream_taken_up_again_changes_nothing(cut: int, back: int) -> None:
    assert play([*STORY[:cut], *STORY[min(back, cut) :]]) == play(STORY)


# ---- what strangers send

KINDS = [*sorted({str(event["kind"]) for event in STORY}), "task_failed", "client_failed", "run_failed", "nonsense"]
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
_NAMES = (
    "client",
    "round",
    "rounds",
    "metrics",
    "fraction",
    "phase",
    "for",
    "why",
    "value",
    "version",
    "error",
    "text",
)
_DATA = st.dictionaries(st.sampled_from(_NAMES), _JUNK | st.dictionaries(st.sampled_from(["auc"]), _JUNK), max_size=6)
_EVENTS = st.fixed_dictionaries({"kind": st.sampled_from(KINDS), "data": _JUNK | _DATA, "at": _JUNK, "run": _JUNK})


@given(st.lists(_EVENTS, max_size=20))
def test_nothing_breaks_the_board(events: list[dict[str, Any]]) -> None:
    board = play(events, until("round_opened"))
    assert all(0.0 < seat.fraction <= 1.0 for seat in board.seats.values() if seat.fraction is not None)
    assert all(message.text.isprintable() for message in board.messages)
    assert all(name.isprintable() for name in board.seats)
    left = board.left(START)
    assert left is None or left >= 0.0


@given(st.text(max_size=2 * LONGEST))
def test_what_is_kept_is_one_short_printable_line(words: str) -> None:
    line = clean(words)
    assert line.isprintable() and len(line) <= LONGEST


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07and\rmore\n") == "red and more"
    assert telling("worker_line", {"client": "a", "text": "\x1b[2Jgone"}) == ("[a] gone", "line")
