"""Where files of the server may be written, whatever it calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.errors import ProtocolBroken
from rondo.console.fetching import place

FOLDER = Path("kit/transfer")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("transfer/a.txt", "a.txt"), ("run_1/mmar_server/log.txt", "run_1/mmar_server/log.txt"), ("..a/b..", "..a/b..")],
)
def test_a_file_lies_below_the_transfer_folder(path: str, expected: str) -> None:
    assert place(FOLDER, path) == FOLDER / expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "../a",
        "run_1/../../a",
        "/etc/a",
        "transfer/",
        "transfer//etc/a",
        "transfer/../a",
        "a/./b",
        "a//b",
        "a\0b",
    ],
)
def test_no_name_leads_out_of_it(path: str) -> None:
    with pytest.raises(ProtocolBroken, match="may not be written here"):
        place(FOLDER, path)
