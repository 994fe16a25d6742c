"""What a filter is, and what it gets. A module of this room with ``Options`` and ``build(options)`` is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rondo.tensors.dtypes import Array, Block, Kind, kind_of


@dataclass(frozen=True)
class Outgoing:
    """An update on its way out of the site.

    ``tensors``: by name, with the model's shapes. Tensors of a float dtype are float64 differences to the model
    received; they are rounded to their dtype only when the last filter is done. All others are full values, in
    their own dtype. Arrays are not to be written to, and are computed when asked for: asking twice computes
    twice.
    ``dtypes``: the model's dtype of every tensor (safetensors names).
    ``omitted``: names that stay at home; they are in neither ``tensors`` nor ``dtypes``.
    ``steps``: local optimiser steps of this round, 0 where they were not counted.
    """

    tensors: Mapping[str, Array]
    dtypes: Mapping[str, str]
    omitted: frozenset[str] = frozenset()
    steps: float = 0.0

    def floats(self) -> tuple[str, ...]:
        """Names of the float tensors, sorted."""
        return tuple(sorted(name for name, dtype in self.dtypes.items() if kind_of(dtype) is Kind.FLOAT))

    def difference(self, name: str) -> Block:
        """The difference of a float tensor, as an array of its own that may be written to. Raises ``KeyError``."""
        return np.array(self.tensors[name], np.float64)

    def without(self, names: Collection[str]) -> Outgoing:
        """The same update, with these tensors kept at home."""
        stays = set(names)
        dtypes = {name: dtype for name, dtype in self.dtypes.items() if name not in stays}
        tensors = Computed(dtypes, self.tensors.__getitem__)
        return replace(self, tensors=tensors, dtypes=dtypes, omitted=self.omitted | stays)


class Computed(Mapping[str, Array]):
    """Arrays that are made when they are asked for, and not kept."""

    def __init__(self, names: Collection[str], make: Callable[[str], Array]) -> None:
        self._names = dict.fromkeys(names)
        self._make = make

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Filter(Protocol):
    """Something that changes what leaves the site."""

    def apply(self, outgoing: Outgoing, rng: np.random.Generator) -> Outgoing:
        """What leaves instead of ``outgoing``; whatever is raised keeps the update at home.

        Shapes and dtypes stay, and names stay unless they go to ``omitted``. ``rng`` is this filter's own for
        this update, the only source of chance. Where the result's ``tensors`` are computed on demand
        (``Computed``), the same array comes out every time: draw first, then compute.
        """
