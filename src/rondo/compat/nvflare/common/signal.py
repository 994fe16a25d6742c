"""How a trainer is told to stop."""

from __future__ import annotations

from typing import Any


class Signal:
    """``triggered`` once somebody has triggered it. (Here an aborted worker is killed, whatever it looks at.)"""

    def __init__(self) -> None:
        self.value: Any = None
        self.triggered = False

    def trigger(self, value: Any = True) -> None:
        self.value, self.triggered = value, True

    def reset(self, value: Any = None) -> None:
        self.value, self.triggered = value, False
