"""What may come next on a line, without a terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from rondo.console.completion import LineCompleter, fitting, folders, wanted

KNOWN = {
    "clients": ["berlin", "bern", "b\x1b[2J"],
    "target": ["server", "client", "all"],
    "site": ["server", "berlin"],
    "runs": ["1", "12"],
}


def choices(line: str) -> list[str]:
    want = wanted(line)
    return fitting(want, KNOWN.get(want.kind, ()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("chec", ["check_status"]),
        ("deploy", ["deploy", "deploy_app"]),
        ("? check", ["check_status"]),
        ("?check", ["check_status"]),
        ("help sys.", []),
        ("check_status ", ["all", "client", "server"]),
        ("check_status s", ["server"]),
        ("check_status client be", ["berlin", "bern"]),
        ("check_status client berlin ", ["bern"]),
        ("sys.shutdown client b", ["berlin", "bern"]),
        ("list_models ", ["1", "12"]),
        ("list_models 1 ", []),
        ("watch 1", ["1", "12"]),
        ("nothing of this name ", []),
        ("check_status 'b", []),
    ],
)
def test_what_fits(line: str, expected: list[str]) -> None:
    assert choices(line) == expected


def test_a_first_word_may_be_any_command_that_is_listed() -> None:
    found = choices("")
    assert {"bye", "help", "?", "check_status", "upload_app"} <= set(found) and found == sorted(found)


def test_a_folder_to_send_is_local_one_to_deploy_is_not() -> None:
    assert wanted("upload_folder ").kind == wanted("submit_job x").kind == "local"
    assert wanted("deploy ").kind == "staged"


def test_folders_below_the_transfer_folder_and_by_their_path(tmp_path: Path) -> None:
    for name in ("transfer/lungs/config", "transfer/.hidden", "elsewhere/heart"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "transfer" / "file").touch()
    start = tmp_path / "transfer"
    assert folders(start, "") == folders(start, "lu") == ["lungs/"]
    assert folders(start, "lungs/") == ["lungs/config/"]
    assert folders(start, "../elsewhere/") == ["../elsewhere/heart/"]
    assert sorted(folders(start, f"{tmp_path}/else")) == [f"{tmp_path}/elsewhere/", f"{tmp_path}/transfer/"]
    assert folders(start, "nowhere/") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("chec", "check_status"),
        ("?chec", "?check_status"),
        ("? chec", "? check_status"),
        ("check_status client berli", "check_status client berlin"),
        ("watch ", "watch 1"),
        ("watch '1'", "watch 1"),
        ("list_models 2", ""),
    ],
)
def test_tab_puts_the_word_in_the_place_of_what_was_typed_of_it(line: str, expected: str) -> None:
    async def known(kind: str, _: str) -> list[str]:
        return KNOWN.get(kind, [])

    async def tab() -> str:
        pressed = CompleteEvent(completion_requested=True)
        async for found in LineCompleter(known).get_completions_async(Document(line), pressed):
            return line[: len(line) + found.start_position] + found.text
        return ""

    assert asyncio.run(tab()) == expected


@given(line=st.text(max_size=30))
def test_whatever_is_typed_has_an_answer(line: str) -> None:
    assert all(isinstance(word, str) for word in choices(line))
