"""Amounts as people write them: ``"16 GiB"`` and ``"500 MB"`` are bytes, ``"90 s"`` and ``"12 h"`` are seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping

_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)")
_BYTES = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def bytes_of(text: str) -> int:
    """``"1.5 GiB"`` in bytes. Raises ``ValueError`` with a sentence for what is no amount, or nothing at all."""
    return round(_read(text, _BYTES, "16 GiB", least=1))


def seconds_of(text: str) -> float:
    """``"12 h"`` in seconds. Raises ``ValueError`` with a sentence for what is no amount, or nothing at all."""
    return _read(text, _SECONDS, "12 h", least=0.001)


def _read(text: str, units: Mapping[str, int], example: str, least: float) -> float:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or found[2] not in units:
        raise ValueError(f'an amount looks like "{example}" (units: {", ".join(units)}), this is {text[:40]!r}')
    amount = float(found[1]) * units[found[2]]
    if amount < least:
        raise ValueError(f"an amount is more than nothing, this is {text[:40]!r}")
    return amount
