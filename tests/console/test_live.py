"""The live view as a person sees it, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rondo.base.clock import ManualClock
from rondo.console.board import Board
from rondo.console.live import LiveView, render, sparkline
from tests.console.test_board import START, STORY, numbered, play, until


def picture(board: Board, now: float) -> list[str]:
    """What is drawn, line by line, without colours."""
    console = Console(width=120, record=True, file=io.StringIO(), force_terminal=True)
    console.print(render(board, now))
    return [line.rstrip() for line in console.export_text().splitlines()]


def line_of(board: Board, now: float, start: str) -> str:
    return next(line for line in picture(board, now) if line.startswith(start))


def test_before_anything_is_known() -> None:
    assert picture(Board(), START)[0] == "Rondo  no run yet"


def test_the_head_says_how_far_the_run_is() -> None:
    lines = picture(until("round_opened", 2), START + 7.0)
    assert lines[0] == "Rondo  run 7  thyroid  running"
    assert lines[1].endswith("  1 of 3 rounds, in round 1  0:06, about 0:07 to go")
    assert picture(play(STORY), START + 900.0)[1].endswith("3 of 3 rounds  0:14")


def test_what_every_client_is_doing() -> None:
    board = until("progress", 3)
    assert "waiting 4 s for b; 1 more needed; aggregates" in picture(board, START + 7.5)
    assert "done, waiting for b" in line_of(board, START + 4, "a ")
    assert line_of(board, START + 4, "a ").split()[-3:] == ["0.500", "0.500", "1"]
    assert "uploading 43%" in line_of(board, START + 4, "b ")
    assert "training 60% epoch 3" in line_of(until("progress", 2), START + 4, "a ")
    assert "away (uploading)" in line_of(until("client_away"), START + 4, "b ")
    assert "waiting for its task" in line_of(until("round_opened"), START + 4, "b ")
    assert "refused" in line_of(until("update_refused"), START + 7, "a ")


def test_the_mean_grows_before_your_eyes() -> None:
    lines = picture(play(STORY), START + 16)
    assert "mean auc  ▁▆█  0.9500  best 0.5500 (version 0)" in lines
    assert lines[-1] == "   14.0 s  the run is finished; best auc 0.55 (version 0)"


def test_sparks_go_from_the_least_to_the_greatest() -> None:
    assert sparkline([]) == ""
    assert sparkline([0.5]) == "▄"
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([float(value) for value in range(100)], width=4) == "▁▃▆█"


def test_markup_and_escapes_in_messages_are_only_text() -> None:
    events = numbered((0.0, "worker_line", {"client": "a", "text": "[red]x[/red] \x1b[31my [/nonsense]"}))
    assert "[a] [red]x[/red] y [/nonsense]" in picture(play(events), START)[-1]


def test_a_narrow_terminal_gets_no_broken_lines() -> None:
    console = Console(width=50, record=True, file=io.StringIO(), force_terminal=True)
    console.print(render(play(STORY), START + 15))
    assert all(len(line) <= 50 for line in console.export_text().splitlines())


def test_a_log_gets_one_line_for_each_message() -> None:
    out = io.StringIO()
    clock = ManualClock(START + 4.2)
    with LiveView(Console(file=out, width=40), clock=clock) as view:
        for event in STORY:
            view.feed(event)
        view.note("killed the server")
        assert view.board.state == "finished"
    lines = out.getvalue().splitlines()
    assert len(lines) == 19
    assert "    4.8 s  round 0 is done: auc 0.55, loss 0.45 (2 clients, 4.0 s)" in lines
    assert "    5.7 s  the server is back; run 7 goes on in round 1" in lines
    assert lines[-1] == "    3.2 s  killed the server"


def test_an_event_that_comes_again_is_not_printed_again() -> None:
    out = io.StringIO()
    with LiveView(Console(file=out)) as view:
        for event in [*STORY, *STORY[5:]]:
            view.feed(event)
    assert len(out.getvalue().splitlines()) == 18


@pytest.mark.parametrize("fails", [False, True])
def test_on_a_terminal_the_last_picture_stays(fails: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    try:
        with LiveView(console, Board(metric="loss"), ManualClock(START + 16)) as view:
            for event in STORY:
                view.feed(event)
            if fails:
                raise InterruptedError
    except InterruptedError:
        assert fails
    assert "finished" in out.getvalue() and "mean loss" in out.getvalue()
    assert out.getvalue().endswith("\x1b[?25h")  # the cursor is shown again
