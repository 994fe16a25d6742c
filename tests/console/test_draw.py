"""What people and programs see of a command's answer (spec 7.1)."""

from __future__ import annotations

import json
from datetime import datetime

from rondo.commands.rows import Facts, Problem, Row, Table, Text
from rondo.console.draw import as_json, as_text, done


def test_a_line_of_the_server_stands_for_itself() -> None:
    assert as_text(Text("Registered clients: 2 ")) == "Registered clients: 2 "
    assert as_text(Problem("no such folder: x")) == "Error: no such folder: x"


def test_a_line_of_a_site_says_whose_it_is_and_is_followed_by_an_empty_one() -> None:
    assert as_text(Text("MMAR deployed.", "a_1")) == "instance:a_1 : MMAR deployed.\n"
    assert as_text(Problem("No replies", "b", "Unreachable")) == "instance:b : Error: No replies\n"


def test_a_table_stands_between_rules_under_its_head_in_capitals() -> None:
    drawn = as_text(Table(["client name", "N"], [["a", 1], ["flclient1_1", None]]))
    assert drawn.splitlines() == [
        "----------------------",
        "| CLIENT NAME | N    |",
        "----------------------",
        "| a           | 1    |",
        "| flclient1_1 | None |",
        "----------------------",
    ]


def test_a_table_without_rows_has_its_head() -> None:
    assert as_text(Table(["A"], [])).splitlines() == ["-----", "| A |", "-----", "-----"]


def test_a_cell_keeps_to_its_line() -> None:
    drawn = as_text(Table(["ERROR"], [["Traceback:\n  line 1\n\tx"]])).splitlines()
    assert drawn[3] == "| Traceback: line 1 x |" and len(drawn) == 5


def test_what_only_programs_want_is_not_drawn() -> None:
    assert as_text(Facts({"run": 1})) == ""


def test_no_site_drives_an_admins_terminal() -> None:
    """Errors and names come from sites: what they may do is be read."""
    evil = "\x1b[2J\x1b]0;owned\x07\rok\x9b31m"
    drawn = [as_text(Text(evil, "a")), as_text(Problem(evil, evil)), as_text(Table(["A"], [[evil]]))]
    assert not any(letter in text for text in drawn for letter in "\x1b\x07\r\x9b")
    assert "owned" in drawn[0] and as_text(Text("two\tcolumns\nand lines: é 中")) == "two\tcolumns\nand lines: é 中"


def test_programs_get_one_object() -> None:
    rows: list[Row] = [
        Text("MMAR deployed.", "a"), Problem("No replies", "b", "Unreachable"), Table(["A"], [[1]]),
        Facts({"run": 1, "best": None}), Facts({"run": 2}),
    ]  # fmt: skip
    assert json.loads(as_json(rows)) == {
        "run": 2,
        "best": None,
        "texts": [{"site": "a", "text": "MMAR deployed."}],
        "problems": [{"type": "problem", "error": "No replies", "site": "b", "code": "Unreachable"}],
    }
    assert json.loads(as_json([], {"code": "Conflict"})) == {
        "texts": [], "problems": [], "error": {"code": "Conflict"},
    }  # fmt: skip


def test_a_command_ends_with_its_time() -> None:
    assert done(1234, datetime(2024, 5, 6, 7, 8, 9, 1234)) == "Done [1234 usecs] 2024-05-06 07:08:09.001234"
