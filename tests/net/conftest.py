"""What the tests of this room share."""

from __future__ import annotations

import pytest

from tests.net.certs import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    """One for the whole room: a key costs little, but every test needs one."""
    return Authority()
