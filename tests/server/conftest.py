"""What the tests of this room share."""

from __future__ import annotations

import pytest

from rondo.base.clock import SystemClock
from rondo.net.kits import load_kit
from rondo.pki.kit import Kit
from rondo.simulator.local import SERVER, Layout, make_kits
from tests.ports import free_port


@pytest.fixture(scope="session")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kit]:
    made = make_kits(tmp_path_factory.mktemp("kits"), Layout({"a": None}, port=free_port()), SystemClock())
    return {name: load_kit(path, SystemClock().now()) for name, path in made.items()}


@pytest.fixture(scope="session")
def kit(kits: dict[str, Kit]) -> Kit:
    """Of a server."""
    return kits[SERVER]
