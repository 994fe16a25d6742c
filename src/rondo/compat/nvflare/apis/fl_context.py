"""What components of a run know in common."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_MODEL = "model"


class FLContext:
    """Properties by name; those that are not private are also shown to the other side."""

    def __init__(self) -> None:
        self._props: dict[str, tuple[Any, bool]] = {}

    def set_prop(self, key: str, value: Any, private: bool = True, sticky: bool = True) -> None:
        self._props[key] = (value, private)

    def get_prop(self, key: str, default: Any = None) -> Any:
        return self._props[key][0] if key in self._props else default

    def remove_prop(self, key: str) -> None:
        self._props.pop(key, None)

    def clone(self) -> FLContext:
        return copy.copy(self).set_all(self._props)

    def set_all(self, props: Mapping[str, tuple[Any, bool]]) -> FLContext:
        self._props = dict(props)
        return self

    def get_all_public_props(self) -> dict[str, Any]:
        return {key: value for key, (value, private) in self._props.items() if not private}

    def set_public_props(self, props: Mapping[str, Any]) -> None:
        self._props |= {key: (value, False) for key, value in props.items()}

    def public_key_exists(self, key: str) -> bool:
        return key in self._props and not self._props[key][1]

    def get_model(self) -> Any:
        return self.get_prop(_MODEL)

    def set_model(self, model: Any) -> None:
        self.set_prop(_MODEL, model)
