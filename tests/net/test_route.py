"""Which proxy a connection takes."""

from __future__ import annotations

import pytest

from rondo.base.errors import BadInput
from rondo.net.route import proxy_for

HOST, PORT = "fl.hospital.example", 8002
PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": PROXY}, PROXY),
        ({"grpc_proxy": "http://own:1", "https_proxy": PROXY}, "http://own:1"),
        ({"HTTP_PROXY": PROXY, "http_proxy": PROXY}, None),
        ({"HTTPS_PROXY": "  "}, None),
        ({"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ({"HTTPS_PROXY": "http://proxy"}, "http://proxy:80"),
        ({"HTTPS_PROXY": "http://me:p%40ss@proxy:3128"}, "http://me:p%40ss@proxy:3128"),
        ({"HTTPS_PROXY": "http://[fd00::1]:3128"}, "http://[fd00::1]:3128"),
    ],
)
def test_the_variable_that_counts(environ: dict[str, str], expected: str | None) -> None:
    assert proxy_for(HOST, PORT, environ) == expected


@pytest.mark.parametrize(
    ("listed", "host", "direct"),
    [
        ("", HOST, False),
        ("*", HOST, True),
        (HOST, HOST, True),
        ("FL.Hospital.Example", HOST, True),
        ("hospital.example", HOST, True),
        (".hospital.example", HOST, True),
        ("*.hospital.example", HOST, True),
        ("example.com, hospital.example", HOST, True),
        ("tal.example", HOST, False),
        (f"{HOST}:{PORT}", HOST, True),
        (f"{HOST}:443", HOST, False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "fd00::1", False),
        ("10.0.0.0/8", HOST, False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_is_dialled_directly(name: str, listed: str, host: str, direct: bool) -> None:
    assert (proxy_for(host, PORT, {"HTTPS_PROXY": PROXY, name: listed}) is None) is direct


@pytest.mark.parametrize("url", ["https://proxy:3128", "socks5://proxy:1080", "http://", "http://me:secret@proxy:many"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        proxy_for(HOST, PORT, {"HTTPS_PROXY": url})
    assert caught.value.where == "HTTPS_PROXY"
    assert "secret" not in str(caught.value)
