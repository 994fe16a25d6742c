"""One round can be read in one sitting: at most 14 files and 2,000 lines, the ones that docs/one-round.md names."""

from __future__ import annotations

import re
from pathlib import Path

from tests.arch.tree import ROOT

FILES = 14
LINES = 2000


def named(text: str) -> list[str]:
    """The source files that a page names, in order, each once."""
    return list(dict.fromkeys(re.findall(r"src/rondo/[\w/]+\.py", text)))


def faults(page: Path, root: Path) -> list[str]:
    """What is wrong with the files that ``page`` names."""
    files = named(page.read_text(encoding="utf-8"))
    found = [f"{name} is not there" for name in files if not (root / name).is_file()]
    lines = sum(
        len((root / name).read_text(encoding="utf-8").splitlines()) for name in files if (root / name).is_file()
    )
    if len(files) > FILES or not files:
        found.append(f"{len(files)} files (at most {FILES})")
    if lines > LINES:
        found.append(f"{lines} lines (at most {LINES})")
    return found


def test_one_round_is_short() -> None:
    assert faults(ROOT / "docs" / "one-round.md", ROOT) == []


def test_a_long_round_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("1. [`a`](../src/rondo/net/a.py) then `src/rondo/net/b.py`, again src/rondo/net/a.py\n")
    room = tmp_path / "src" / "rondo" / "net"
    room.mkdir(parents=True)
    (room / "a.py").write_text("x = 1\n" * 1500)
    assert faults(page, tmp_path) == ["src/rondo/net/b.py is not there"]
    (room / "b.py").write_text("x = 1\n" * 500)
    assert faults(page, tmp_path) == []
    (room / "b.py").write_text("x = 1\n" * 501)
    assert faults(page, tmp_path) == ["2001 lines (at most 2000)"]
    page.write_text("\n".join(f"src/rondo/net/f{n}.py" for n in range(15)))
    assert faults(page, tmp_path)[-1] == "15 files (at most 14)"
