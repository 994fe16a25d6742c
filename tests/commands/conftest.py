"""What the tests of this room share."""

from __future__ import annotations

import pytest

from tests.commands.desks import MemoryDesk


@pytest.fixture
def desk() -> MemoryDesk:
    """A server with a job staged and two clients."""
    made = MemoryDesk(packages={"job"})
    made.add_client("a")
    made.add_client("b")
    return made
