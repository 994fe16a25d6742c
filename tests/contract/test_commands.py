"""What every command of ``rondo.commands`` keeps to, whoever wrote it."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import RondoError
from rondo.base.options import Options
from rondo.base.rooms import names, pick
from rondo.commands import seam
from rondo.commands.rows import Row
from rondo.policy.actions import Action
from tests.commands.desks import MemoryDesk, typed

ROOM = "rondo.commands"
COMMANDS = names(ROOM, "run")
MODULES = [pick(ROOM, name, "run") for name in COMMANDS]


def test_the_room_is_listed() -> None:
    """The commands of the first stone."""
    first = {"check_status", "upload_folder", "set_run_number", "deploy", "start", "abort", "shutdown"}
    assert first <= set(COMMANDS)


@pytest.mark.parametrize("module", MODULES, ids=COMMANDS)
def test_a_command_is_told_and_permitted(module: ModuleType) -> None:
    assert (module.__doc__ or "").splitlines()[0].endswith("."), "the first line is its help"
    assert module.PERMISSION in Action.__members__
    assert module.SCOPE in seam.SCOPES
    assert inspect.isasyncgenfunction(module.run)
    assert list(inspect.signature(module.run).parameters) == ["desk", "options"]


@pytest.mark.parametrize("module", MODULES, ids=COMMANDS)
def test_options_are_frozen_told_and_made_of_words(module: ModuleType) -> None:
    assert issubclass(module.Options, Options) and module.Options.__struct_config__.frozen
    fields = msgspec.structs.fields(module.Options)
    assert all(f"``{field.name}``" in (module.Options.__doc__ or "") for field in fields)
    in_order = [field for field in fields if not field.encode_name.startswith("-")]
    lists = [field.name for field in in_order if "tuple" in str(field.type)]
    assert lists in ([], [field.name for field in in_order[-1:]]), "a list takes all that is left, so it comes last"
    sends = getattr(module, "SENDS", None)
    assert sends is None or sends in {field.name for field in fields}


def test_no_two_commands_answer_to_one_name() -> None:
    spellings = COMMANDS + [alias for module in MODULES for alias in getattr(module, "ALIASES", ())]
    assert len(spellings) == len(set(spellings))
    assert {seam.find(name).__name__ for name in spellings} == {module.__name__ for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=COMMANDS)
def test_the_usage_shows_every_argument_in_order(module: ModuleType) -> None:
    usage, place = seam.usage(module), 0
    for field in msgspec.structs.fields(module.Options):
        flag = field.encode_name.startswith("-")
        place = usage.index(field.encode_name if flag else field.name.upper(), place)
        assert flag or field.required == (usage[place - 1] != "[")
    required = [field.required for field in msgspec.structs.fields(module.Options) if field.encode_name[0] != "-"]
    assert required == sorted(required, reverse=True), "what may be left out comes last"


@pytest.mark.parametrize("module", MODULES, ids=COMMANDS)
def test_the_example_can_be_typed_and_travels(module: ModuleType) -> None:
    options = seam.parse(module, seam.split(module.EXAMPLE))
    assert seam.unpack(module, seam.pack(options)) == options


@pytest.mark.parametrize("module", MODULES, ids=COMMANDS)
def test_a_command_answers_in_rows_of_the_four_kinds(module: ModuleType, tmp_path: Path) -> None:
    """Its example, on a desk where there is something to do."""
    entry = {"site": "site-1", "model": "site-2", "samples": 2.0, "metrics": {"auc": 0.5}, "why": ""}
    desk = MemoryDesk(packages={"my_job"}, folder=tmp_path, matrix=[entry])
    (tmp_path / "log.txt").write_text("a line\n")
    for client in ("site-1", "site-2"):
        desk.add_client(client)
    if "RUN_NUMBER" not in seam.usage(module):
        for line in ("set_run_number 1", "deploy my_job server", "deploy my_job client", "start server"):
            typed(desk, line)
    rows = typed(desk, f"{module.__name__.rsplit('.', 1)[-1]} {module.EXAMPLE}")
    assert rows and all(isinstance(row, get_args(Row)) for row in rows)


@pytest.mark.parametrize("module", MODULES, ids=COMMANDS)
@given(
    words=st.lists(st.one_of(st.text(max_size=12), st.sampled_from(["server", "client", "1", "-1", "job"])), max_size=4)
)
def test_whatever_is_typed_is_understood_or_refused(module: ModuleType, words: list[str]) -> None:
    """Also with an open quote, control characters, or numbers of any length: never anything but our own errors."""
    try:
        options = seam.parse(module, words)
    except RondoError:
        return
    assert isinstance(options, module.Options)
    assert len(words) >= sum(field.required for field in msgspec.structs.fields(module.Options))


@given(line=st.text(max_size=40))
def test_a_line_is_split_into_words_or_refused(line: str) -> None:
    try:
        assert all(isinstance(word, str) for word in seam.split(line))
    except RondoError:
        return
