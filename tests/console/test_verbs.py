"""The console's own commands keep to the form of all commands, and every command can be found and told."""

from __future__ import annotations

import inspect
from types import ModuleType

import msgspec
import pytest

from rondo.base.errors import NotFound
from rondo.base.options import Options
from rondo.base.rooms import names, pick
from rondo.commands import seam
from rondo.console.verbs import LOCAL, find, verbs

NAMES = names(LOCAL, "run")
MODULES = [pick(LOCAL, name, "run") for name in NAMES]


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_command_of_the_console_is_told(module: ModuleType) -> None:
    assert (module.__doc__ or "").splitlines()[0].endswith(".")
    assert getattr(module, "SCOPE", "") in ("", *seam.SCOPES)
    assert inspect.isasyncgenfunction(module.run) and list(inspect.signature(module.run).parameters) == [
        "here",
        "options",
    ]
    assert issubclass(module.Options, Options) and module.Options.__struct_config__.frozen
    fields = msgspec.structs.fields(module.Options)
    assert all(f"``{field.name}``" in (module.Options.__doc__ or "") for field in fields)


def test_every_command_is_found_by_each_of_its_names() -> None:
    spellings = [name for verb in verbs() for name in (verb.name, *verb.aliases)]
    assert len(spellings) == len(set(spellings))
    for verb in verbs():
        assert {find(name) for name in (verb.name, verb.full_name, *verb.aliases)} == {verb}
        assert verb.description and "``" not in verb.help


def test_what_moves_files_is_a_clients_command() -> None:
    assert find("upload_folder").by_client and find("upload_folder").moves
    assert find("bye").here and find("bye").by_client and not find("bye").moves
    assert not find("deploy").by_client and not find("submit_job").by_client and find("submit_job").moves


@pytest.mark.parametrize("word", ["chek_status", "training.shutdown", "", "help.help"])
def test_what_there_is_not_is_not_found(word: str) -> None:
    with pytest.raises(NotFound, match=f"Undefined server command {word}"):
        find(word)
