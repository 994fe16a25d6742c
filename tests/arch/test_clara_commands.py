"""The table of Clara's commands says what is true: every command is told, and every test that it names is there."""

from __future__ import annotations

import ast
import re

import pytest

from rondo.base.rooms import names, pick
from tests.arch.tree import ROOT

PAGE = ROOT / "docs" / "commands-of-clara.md"
# Clara Train 4.0, in the order of its manual.
COMMANDS = [
    "bye",
    "help",
    "lpwd",
    "info",
    "upload_folder",
    "download_folder",
    "download_text",
    "download_binary",
    "upload_text",
    "upload_binary",
    "check_status",
    "set_run_number",
    "delete_run_number",
    "deploy",
    "start",
    "start_mgpu",
    "abort",
    "shutdown",
    "restart",
    "remove_client",
    "set_timeout",
    "sys_info",
    "validate",
    "taskname",
    "pwd",
    "env",
    "ls",
    "cat",
    "head",
    "tail",
    "grep",
    "show_info",
    "show_users",
    "show_sites",
    "show_rules",
    "show_rights",
    "show_config",
    "eval_right",
    "eval_rule",
]
ROOMS = {"server": "rondo.commands", "console": "rondo.console.local"}
NOT_YET = "not yet"


def rows(text: str) -> list[tuple[str, str, str]]:
    """Command, where it is, and the test that shows it, of every row of the page's tables."""
    found = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|[^|]*\| ?(?:`([^`]+)`)? ?\|$", text, re.M)
    return [(command, here, test) for command, here, test in found]


ROWS = rows(PAGE.read_text(encoding="utf-8"))


def known() -> set[str]:
    """Every name that a command of ours answers to."""
    rooms = [room for room in ROOMS.values() if (ROOT / "src" / room.replace(".", "/")).is_dir()]
    modules = [pick(room, name, "run") for room in rooms for name in names(room, "run")]
    own = {module.__name__.rpartition(".")[2] for module in modules}
    return own | {alias for module in modules for alias in getattr(module, "ALIASES", ())}


def is_there(test: str) -> bool:
    """Whether ``path::function`` is a test of this repository."""
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in tree.body)


def test_every_command_of_clara_is_told_once_and_in_order() -> None:
    assert [command for command, _, _ in ROWS] == COMMANDS


@pytest.mark.parametrize(("command", "here", "test"), ROWS, ids=COMMANDS if len(ROWS) == len(COMMANDS) else None)
def test_what_is_told_of_a_command_is_true(command: str, here: str, test: str) -> None:
    if here == NOT_YET:
        assert command not in known(), "it is there: say so, and name its test"
        assert not test
    else:
        assert command in names(ROOMS[here], "run")
        assert is_there(test), f"there is no {test}"


def test_a_test_that_there_is_not_is_found() -> None:
    assert is_there("tests/arch/test_clara_commands.py::test_a_test_that_there_is_not_is_found")
    assert not is_there("tests/arch/test_clara_commands.py::test_nothing") and not is_there("tests/none.py::test_x")
    assert rows("| `a` | server | b | `c::d` |\n| `e` | not yet | | |\n") == [
        ("a", "server", "c::d"),
        ("e", NOT_YET, ""),
    ]


def test_the_spellings_of_later_versions_are_known() -> None:
    told = set(re.findall(r"`(\w+_app)`", PAGE.read_text(encoding="utf-8")))
    assert told >= {"upload_app", "deploy_app", "start_app", "abort_app"} and told <= known()
