"""Links of Markdown files, and where they lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_LINK = re.compile(r"\[[^\]]*\]\(<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"")
_FENCE = re.compile(r"^\s*(```|~~~)")
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines outside of fenced code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(text: str) -> set[str]:
    """The fragments that headings can be reached by."""
    found: set[str] = set()
    for _, line in prose(text):
        if line.startswith("#"):
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip())
            found.add(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"))
    return found


def dead_links(file: Path, root: Path) -> list[str]:
    """Links of ``file`` within the repository ``root`` that lead to no file or no heading."""
    faults = []
    for number, line in prose(file.read_text(encoding="utf-8")):
        for groups in _LINK.findall(re.sub(r"`[^`]*`", "", line)):
            target = next(group for group in groups if group)
            if _ELSEWHERE.match(target):
                continue
            path, _, fragment = target.partition("#")
            end = (file.parent / path).resolve() if path else file
            there = end.exists() and end.is_relative_to(root)
            if not there or (fragment and fragment not in anchors(end.read_text(encoding="utf-8"))):
                faults.append(f"{file.relative_to(root)}:{number}: {target}")
    return faults
