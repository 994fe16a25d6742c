"""See the package: it is not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from . import WHY


def count_encrypted_layers(*args: Any, **named: Any) -> NoReturn:
    """Raises ``RuntimeError``."""
    raise RuntimeError(WHY)


def load_tenseal_context(*args: Any, **named: Any) -> NoReturn:
    """Raises ``RuntimeError``."""
    raise RuntimeError(WHY)
