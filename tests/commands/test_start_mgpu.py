"""Starting clients in several processes (spec 13)."""

from __future__ import annotations

import pytest

from rondo.base.errors import BadInput
from tests.commands.desks import MemoryDesk, texts, typed


def test_clients_start_with_as_many_processes_as_was_said(desk: MemoryDesk) -> None:
    for line in ("set_run_number 1", "deploy job server", "deploy job client", "start server"):
        typed(desk, line)
    assert texts(typed(desk, "start_mgpu client 2 a")) == ["Starting the client..."]
    typed(desk, "start_mgpu client 1 b")
    assert desk.gpus == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [("server 2", "unknown target type server"), ("client 0", ">= 1"), ("client x", "int"), ("client", "missing gpus")],
)
def test_what_start_mgpu_refuses(desk: MemoryDesk, words: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        typed(desk, f"start_mgpu {words}")
