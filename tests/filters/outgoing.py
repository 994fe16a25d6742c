"""Small updates for tests of filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rondo.base.options import decode
from rondo.base.rooms import pick
from rondo.filters.seam import Filter, Outgoing
from rondo.tensors.dtypes import Array


def outgoing(arrays: Mapping[str, Any], steps: float = 0.0, **dtypes: str) -> Outgoing:
    """Float differences (F32 unless ``dtypes`` says otherwise) and whatever else."""
    return Outgoing(
        {name: np.array(array, np.float64) if name not in dtypes else array for name, array in arrays.items()},
        {name: dtypes.get(name, "F32") for name in arrays},
        steps=steps,
    )


def built(name: str, **options: Any) -> Filter:
    module = pick("rondo.filters", name)
    found: Filter = module.build(decode(module.Options, options, f"filter {name}"))
    return found


def applied(name: str, update: Outgoing, seed: int = 0, **options: Any) -> dict[str, Array]:
    """Every tensor that is left."""
    return dict(built(name, **options).apply(update, np.random.default_rng(seed)).tensors)
