"""Commands that change the server, its list of clients and its folders; and the questions about the policy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, Conflict, NotFound
from rondo.commands import seam
from rondo.commands.rows import Text, facts
from rondo.commands.seam import Target
from tests.commands.desks import MemoryDesk, problems, started, table, texts, typed

# ---- delete_run_number --------------------------------------------------------------------------------------------


def test_a_run_number_is_deleted_everywhere(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.folder = tmp_path
    (tmp_path / "run_4" / "models").mkdir(parents=True)
    (tmp_path / ".run_4.a.gone" / "left").mkdir(parents=True)  # by one that was killed
    typed(desk, "set_run_number 4")
    desk.silent = {"b"}
    rows = typed(desk, "delete_run_number 4")
    # All of them have one workspace here: who comes second finds nothing more.
    assert rows[:2] == [Text("run_4 has been deleted."), Text("There is no run_4.", "a")]
    assert problems(rows) == [("b", "No replies (the command was withdrawn)", "Unreachable")]
    assert list(tmp_path.iterdir()) == [] and desk.number is None


def test_a_run_number_in_use_is_not_deleted(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.folder = tmp_path
    (tmp_path / "run_1").mkdir()
    with pytest.raises(Conflict, match=r"Current running run_number can not be deleted\."):
        typed(started(desk), "delete_run_number 1")
    with pytest.raises(BadInput, match=r"run number must be an integer\."):
        typed(desk, "delete_run_number ../../etc")
    assert (tmp_path / "run_1").is_dir()


def test_what_somebody_laid_in_the_place_of_a_run_is_not_deleted(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.folder = tmp_path / "w"
    for folder in ("w", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "w" / "run_1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Conflict, match="run_1 is a link"):
        typed(desk, "delete_run_number 1")
    assert (tmp_path / "elsewhere").is_dir()


# ---- sys: timeout, restart, remove_client, taskname; authz ---------------------------------------------------------


def test_the_command_timeout_is_changed(desk: MemoryDesk) -> None:
    rows = typed(desk, "set_timeout 30")
    assert texts(rows) == ["admin command timeout has been set to: 30"] and facts(rows) == {"timeout": 30.0}
    assert desk.timeout == 30.0
    assert texts(typed(desk, "set_timeout 0.5")) == ["admin command timeout has been set to: 0.5"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "syntax error: missing timeout"), ("soon", "timeout must be a number."), ("0", "timeout must be > 0."),
        ("-1", "timeout must be > 0."), ("nan", "timeout must be > 0."), ("inf", "timeout must be at most 86400."),
    ],
)  # fmt: skip
def test_a_timeout_is_a_number_of_seconds(desk: MemoryDesk, word: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        typed(desk, f"set_timeout {word}")
    assert caught.value.what == said and desk.timeout == 10.0


def test_a_restart_of_the_server_is_one_of_every_client_first(desk: MemoryDesk) -> None:
    assert typed(desk, "restart client a") == [Text("Restart the client...", "a")]
    desk.silent = {"b"}
    options, sites = asyncio.run(seam.reached(desk, seam.find("restart"), Target(target="server")))
    assert (options.names, sites) == (("b",), ["server", "b"])  # rights are asked for at all of them
    rows = typed(desk, "restart all")
    assert problems(rows) == [("b", "No replies (the command was withdrawn)", "Unreachable")]
    assert rows[1:] == [Text("Restart the server...")] and desk.restarted and set(desk.present) == {"b"}


def test_removed_clients_are_off_the_list_unasked(desk: MemoryDesk) -> None:
    desk.silent = {"b"}
    assert typed(desk, "remove_client b") == [Text("Remove the client...", "b")]
    assert list(desk.present) == ["a"]
    with pytest.raises(NotFound, match=r"invalid client\(s\): b"):
        typed(desk, "remove_client a b")
    assert list(desk.present) == ["a"]
    with pytest.raises(BadInput, match="missing names"):
        typed(desk, "remove_client")


def test_the_task_is_called_as_the_project_is(desk: MemoryDesk) -> None:
    rows = typed(desk, "taskname")
    assert texts(rows) == ["study"] and facts(rows) == {"taskname": "study"}


@pytest.mark.parametrize(
    ("line", "head", "first"),
    [
        ("show_info", ["KIND", "COUNT"], ["roles", "6"]),
        ("show_users", ["USER", "ORG", "ROLES"], ["admin@admin.com", "nvidia", "super"]),
        ("show_sites", ["SITE", "ORG"], ["server", "nvidia"]),
        ("show_rules", ["RULE", "DESCRIPTION", "DEFAULT"], None),
        ("show_rights", ["RIGHT", "DESCRIPTION", "DEFAULT", "PRECONDITION"], None),
        ("show_config", ["KIND", "NAME", "SETTING", "VALUE"], ["role", "super", "", "may do everything"]),
        ("show_site_rules org1-a", ["RULE", "RESULT"], ["allow_byoc", "False"]),
        (
            "eval_right leadIT@secure.com train_self client4 server",
            ["SITE", "RIGHT", "RESULT"],
            ["client4", "train_self", "True"],
        ),
        ("eval_user leadIT@secure.com server", ["RIGHT", "RESULT"], ["upload_mmar", "False"]),
        ("eval_rule org1-a allow_byoc", ["SITE", "RULE", "RESULT"], ["org1-a", "allow_byoc", "False"]),
    ],
)
def test_questions_about_the_policy(desk: MemoryDesk, line: str, head: list[str], first: list[str] | None) -> None:
    rows = typed(desk, line)
    found = table(rows)
    assert found.head == head
    assert [list(answer.values()) for answer in facts(rows)["answers"]] == found.rows
    assert found.rows[0] == first if first else found.rows


@pytest.mark.parametrize("line", ["eval_rule nowhere allow_byoc", "eval_right x train_all", "show_site_rules nowhere"])
def test_what_the_policy_does_not_name_is_said(desk: MemoryDesk, line: str) -> None:
    with pytest.raises(NotFound, match=r'unknown (site|user) "(nowhere|x)"'):
        typed(desk, line)
