"""Free TCP ports of the loopback interface, never given to two tests at once."""

from __future__ import annotations

import os
import socket

_LOW, _HIGH = 20_000, 32_000  # below the ports that the kernel gives to outgoing connections
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now.

    Two test processes that ask at the same moment may find the same one, so worker i of n looks at every n-th port
    only; where it begins depends on the process, so that two test runs beside each other rarely meet.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(_LOW + mine, _HIGH, workers)
    begin = os.getpid() * 37 % len(ports)
    for port in (*ports[begin:], *ports[:begin]):
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {_LOW} and {_HIGH}")


def is_free(port: int) -> bool:
    """On IPv4 and, where this machine has it, on IPv6."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError:
        return False
    return True
