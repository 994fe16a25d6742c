"""Which proxy, if any, a connection takes.

gRPC reads the lower-case variables only; people and hospital images set ``HTTPS_PROXY``. So the decision is made
here, for both spellings, and gRPC is told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from rondo.base.errors import BadInput

_PROXY = ("grpc_proxy", "https_proxy", "HTTPS_PROXY")
_DIRECT = ("no_grpc_proxy", "no_proxy", "NO_PROXY")


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str, str]:
    for name in names:
        if value := environ.get(name, "").strip():
            return name, value
    return "", ""


def proxy_for(host: str, port: int, environ: Mapping[str, str]) -> str | None:
    """URL of the HTTP proxy on the way to ``host:port``, or None for a direct connection.

    Reads ``https_proxy``/``HTTPS_PROXY`` and ``no_proxy``/``NO_PROXY`` (names, domains with or without a leading
    dot, ``host:port``, addresses, networks such as ``10.0.0.0/8``, ``*``). The proxy must speak plain HTTP and
    CONNECT; user and password may stand in the URL. Raises ``BadInput`` for a URL of any other kind.
    """
    name, value = _first(_PROXY, environ)
    if not value or _is_direct(host.lower(), port, _first(_DIRECT, environ)[1]):
        return None
    url = urlsplit(value if "://" in value else f"http://{value}")
    try:
        usable = url.scheme == "http" and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        # The URL may hold a password, so it is not repeated.
        raise BadInput("not the URL of an HTTP proxy", where=name, hint="expected http://[user:password@]host:port")
    return url.geturl() if url.port else f"{url.scheme}://{url.netloc}:80"


def _is_direct(host: str, port: int, listed: str) -> bool:
    return any(_covers(entry.strip().lower(), host, port) for entry in listed.split(",") if entry.strip())


def _covers(entry: str, host: str, port: int) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # one of them is a name
    if entry.endswith(f":{port}"):
        entry = entry.removesuffix(f":{port}")
    domain = entry.removeprefix("*").removeprefix(".")
    return entry == "*" or host == domain or host.endswith(f".{domain}")
