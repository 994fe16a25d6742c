"""Free TCP ports of the loopback interface, given by the kernel and never to two tests at once."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now.

    Two test processes that ask at the same moment may be told the same number, once the first has
    let go of it. So worker i of n keeps only numbers with ``port % n == i``, and none twice; what the kernel
    offers beside those stays bound until the search ends, or it would be offered again.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    with ExitStack() as held:
        for _ in range(500):
            candidate = held.enter_context(socket.socket())
            candidate.bind(("127.0.0.1", 0))
            port: int = candidate.getsockname()[1]
            if port % workers == mine and port not in _given:
                _given.add(port)
                return port
    raise OSError("the kernel offered no usable port of 127.0.0.1 in 500 tries")
