"""What a trainer returns when it cannot train."""

from __future__ import annotations

from typing import Any

from ..apis.fl_constant import ShareableKey, ShareableValue
from ..apis.shareable import Shareable


def generate_failure(fl_ctx: Any = None, reason: str = "") -> Shareable:
    """An empty Shareable that says why."""
    made = Shareable()
    made[ShareableKey.TYPE], made[ShareableKey.DATA_TYPE] = ShareableValue.TYPE_NONE, ShareableValue.TYPE_NONE
    made[ShareableKey.META] = {"failure": reason}
    return made
