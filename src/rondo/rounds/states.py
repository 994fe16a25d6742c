"""The states of a run, and which may follow which: one table, for the ledger that keeps it and whoever shows it."""

from __future__ import annotations

MOVES = {
    "submitted": ("dispatching", "finished", "aborted", "failed"),  # finished at once: there was nothing to do
    "dispatching": ("running", "aborted", "failed"),
    "running": ("validating", "finished", "aborted", "failed"),
    "validating": ("finished", "aborted", "failed"),
    "finished": (),
    "aborted": (),
    "failed": (),
}
OPEN = tuple(state for state, after in MOVES.items() if after)


def before(state: str) -> tuple[str, ...]:
    """The states that ``state`` may follow. No other state is ever left for it."""
    return tuple(one for one, after in MOVES.items() if state in after)
