"""The page that says what of an MMAR is supported names tests that there are."""

from __future__ import annotations

import re

from tests.arch.tree import ROOT, functions, house

PAGE = ROOT / "docs" / "guide" / "mmar.md"


def test_every_row_of_the_page_names_tests_that_exist() -> None:
    known = {node.name for module in house("tests").modules for node in functions(module)}
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "test" in line]
    named = [re.findall(r"`(test_\w+)`", row.rsplit("|", 2)[1]) for row in rows if row.split("|")[3].strip() != "test"]
    assert len(named) > 30
    assert all(named)
    assert {name for names in named for name in names} <= known
