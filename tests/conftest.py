"""What every test gets: reproducible examples, one thread for numbers, and a look at what it left behind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from pytest_asyncio import is_async_test

from tests.traces import Traces, unfinished_tasks

# Before a test module imports numpy, and for every process that a test starts: they share the cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# What a person or a build machine may have said about its own terminal, not about those of the tests.
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)

settings.register_profile(
    "rondo",
    derandomize=True,
    max_examples=50,
    deadline=None,
    database=None,
    # A shared machine may be slow for a moment; that says nothing about the code under test.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("rondo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_async_test(item) and isinstance(item, pytest.Function):
            # After the look at the process (first in), before all that runs in the loop.
            item.fixturenames.insert(item.fixturenames.index("leaves_nothing_behind") + 1, "finishes_its_tasks")


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """After the test: no child process, thread, open port or new file that was not there before."""
    before = Traces.now()
    yield
    if found := before.left_behind():
        pytest.fail("the test left behind: " + "; ".join(found), pytrace=False)


@pytest.fixture
async def finishes_its_tasks() -> AsyncIterator[None]:
    """After an async test and its fixtures: no task is left in the loop."""
    yield
    if found := unfinished_tasks():
        pytest.fail("the test left behind: " + "; ".join(found), pytrace=False)
