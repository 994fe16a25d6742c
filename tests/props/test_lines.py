"""Whatever is typed becomes a command with its options or a typed refusal: ten thousand lines that nobody meant."""

from __future__ import annotations

from random import Random

from rondo.base.errors import YourFault
from rondo.base.options import Options
from rondo.commands import seam
from tests.real.nonsense import line


def test_ten_thousand_lines_are_options_or_a_refusal() -> None:
    of, understood, refused = Random("lines"), 0, set()
    for _ in range(10_000):
        typed = line(of)
        try:
            name, *words = seam.split(typed) or [""]
            assert isinstance(seam.parse(seam.find(name), words), Options)
            understood += 1
        except YourFault as error:
            refused.add(error.what.split(":")[0])
    assert understood > 1000 and len(refused) > 20, "both kinds are there"
