"""What the code inside a peer noted: one JSON line for each event, with its time."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.case import Failed


def read_notes(notes: Path, rounds: int) -> tuple[list[float], bool]:
    """Seconds since the epoch when training began and when each round ended; whether the last model was right.

    Raises ``Failed`` if there are not so many rounds.
    """
    lines = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    begun = max((number for number, line in enumerate(lines) if line["event"] == "begin"), default=0)
    moments = [line["at"] for line in lines[begun:] if line["event"] in ("begin", "round")]
    if len(moments) != rounds + 1:
        raise Failed(f"{max(0, len(moments) - 1)} of {rounds} rounds were noted")
    return moments, any(line.get("correct") is True for line in lines)
