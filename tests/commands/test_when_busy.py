"""A new run while another is under way: it waits for its turn or is refused, as whoever starts it says."""

from __future__ import annotations

import pytest

from rondo.base.errors import BadInput, Conflict
from rondo.commands.rows import facts
from tests.commands.desks import MemoryDesk, typed


def test_a_new_run_waits_for_the_one_under_way_or_is_refused() -> None:
    desk = MemoryDesk(packages={"job"})
    for line in ("set_run_number 1", "deploy job server", "start server"):
        typed(desk, line)
    for line in ("start server", "submit_job job --when-busy refuse"):
        with pytest.raises(Conflict, match="already been started"):
            typed(desk, line)
    for line in ("submit_job job", "start server --when-busy queue", "submit_job --when-busy queue job"):
        assert facts(typed(desk, line))["run"] == len(desk.known_runs)
    with pytest.raises(BadInput, match="when-busy"):
        typed(desk, "submit_job job --when-busy perhaps")
