"""What server and client hand each other: a table of weights and what is said about them."""

from __future__ import annotations

from typing import Any

from .fl_constant import ShareableKey, ShareableValue

__all__ = ["Shareable", "ShareableKey", "ShareableValue"]


class Shareable(dict[str, Any]):
    """A dict by the keys of ``ShareableKey``. It travels as a file of tensors, never as a pickle."""
