"""Decode what people wrote (TOML, YAML, JSON) into frozen structs: nothing unknown, nothing of the wrong type.

msgspec checks types and required keys; unknown keys are looked for first so that the error can name the nearest
known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from rondo.base.errors import BadInput

T = TypeVar("T", bound=msgspec.Struct)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every options struct. ``__post_init__`` may raise ``ValueError`` with a sentence for people."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``" (did you mean X?)"``, or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"


def decode(kind: type[T], value: Mapping[str, Any], where: str) -> T:
    """``value`` as a ``kind`` (a msgspec struct).

    Raises ``BadInput`` that names the offending key under ``where``.
    """
    if not isinstance(value, Mapping):
        raise BadInput(f"expected a table, got {type(value).__name__}", where=where)
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    for key in value:
        if key not in names:
            raise BadInput(f"unknown key {key!r}", where=where, hint=nearest(str(key), names))
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadInput(str(error), where=where) from None
