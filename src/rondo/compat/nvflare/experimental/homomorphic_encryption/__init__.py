"""Homomorphic encryption, which this version has not.

Its names can be imported, so that code which uses them only where it is configured runs; whatever is made or called of
them raises ``RuntimeError``, which says so.
"""

from __future__ import annotations

from typing import Any

WHY = "homomorphic encryption is not part of this version: take the HE components out of the configuration"


class Encrypting:
    """Cannot be made."""

    def __init__(self, *args: Any, **named: Any) -> None:
        raise RuntimeError(f"{type(self).__name__}: {WHY}")
