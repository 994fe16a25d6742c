"""What the tests of this room share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.net.certs import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    """One for the whole room: a key costs little, but every test needs one."""
    return Authority()


@pytest.fixture(autouse=True)
def grpc_ends() -> Iterator[None]:
    """grpc.aio's own thread ends with the last of its objects; errors that were caught hold some in cycles."""
    yield
    gc.collect()
