"""What the tests of this room share."""

from __future__ import annotations

import pytest

from rondo.base.clock import SystemClock
from rondo.net.kits import load_kit
from rondo.pki.kit import Kit
from rondo.simulator.local import SERVER, Layout, make_kits
from tests.ports import free_port


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Of a server."""
    made = make_kits(tmp_path_factory.mktemp("kits"), Layout({"a": None}, port=free_port()), SystemClock())
    return load_kit(made[SERVER], SystemClock().now())
