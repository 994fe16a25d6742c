"""Run numbers as they are typed."""

from __future__ import annotations

from rondo.base.errors import BadInput

MOST = 10**9  # it travels in 32 bits


def run_number(word: str) -> int:
    """Raises ``BadInput`` with the texts that Clara's users know."""
    try:
        number = int(word)
    except ValueError:
        raise BadInput("run number must be an integer.") from None
    if number <= 0:
        raise BadInput("run number must be > 0.")
    if number > MOST:
        raise BadInput(f"run number must be at most {MOST}.")
    return number
