"""Documents: every link leads somewhere, every generated page is the one the code gives, ADRs have their parts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rondo.base.errors import RondoError
from tests.arch.floors import FLOORS
from tests.arch.markdown import dead_links
from tests.arch.tree import ROOT

DOCUMENTS = sorted(
    path
    for folder in ("", "docs", "examples", "benchmarks")
    for path in ((ROOT / folder).rglob("*.md") if folder else ROOT.glob("*.md"))
)
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    assert dead_links(path, ROOT) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One thing, `two`\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md) [b](b.md#one-thing-two) [c](https://example.org) `[d](no.md)`\n"
        "```\n[e](no.md)\n```\n[f](no.md)\n[g](b.md#three)\n[h](#here)\n![i](no.png)\n"
    )
    faults = dead_links(page, tmp_path)
    assert [fault.split(": ")[1] for fault in faults] == ["no.md", "b.md#three", "#here", "no.png"]


@pytest.mark.parametrize("tool", ["docs.py", "stubs.py"])
def test_what_is_generated_is_up_to_date(tool: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / tool), "--check"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.stem)
def test_a_decision_has_its_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.stem[:4]} ")
    assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Options", "Decision", "Consequences"]


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.stem[:4]) for path in ADRS] == list(range(len(ADRS)))


def test_the_floors_are_told_as_they_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = [tuple(re.findall(r"`(\w+)`", line)) for line in text.splitlines() if re.match(r"\| \d \|", line)]
    assert told == list(reversed(FLOORS))


def test_the_drawn_error_tree_is_the_real_one() -> None:
    drawn = re.findall(r"([├└]── |^ +)(\w+) .*?(?:exit (\d+))?$", sys.modules["rondo.base.errors"].__doc__ or "", re.M)
    codes = {name: code for _, name, code in drawn if name[0].isupper()}
    kinds: list[type[RondoError]] = [RondoError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    real = {kind for kind in kinds if kind.__module__ == "rondo.base.errors"}
    for kind in real - {RondoError}:
        assert kind.__name__ in codes
        assert codes[kind.__name__] in {"", str(kind.exit_code)}
    assert set(codes) - {kind.__name__ for kind in real} <= {"RondoError"}


def test_every_task_of_make_is_told() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    tasks = set(re.findall(r"^\.PHONY: (.+)$", text, re.M)[0].split())
    assert tasks == set(re.findall(r"^([a-z-]+):.* ## ", text, re.M))
    for path in (ROOT / "CONTRIBUTING.md", ROOT / "README.md"):
        named = set(re.findall(r"\bmake ([a-z-]+)", path.read_text(encoding="utf-8")))
        assert named <= tasks
