"""Updates folded a second, on one core, by each aggregation rule: five sites, 20 float32 arrays, 32 MiB each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.aggregate.folding import Memories, fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.base.rooms import names
from rondo.tensors.files import write_tensors

SITES = 5  # the fewest that krum, as it comes, chooses from
MIB = 32
ARRAYS = 20


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Contribution]]:
    """The base model and what every site sent."""
    folder = tmp_path_factory.mktemp("updates")
    elements = MIB * (1 << 20) // 4 // ARRAYS

    def model(seed: int) -> dict[str, Any]:
        random = np.random.default_rng(seed)
        return {f"layer{n:02}": random.standard_normal(elements, dtype=np.float32) for n in range(ARRAYS)}

    base = write_tensors(folder / "base", model(0)).path
    paths = [write_tensors(folder / f"site{n}", model(n)).path for n in range(1, SITES + 1)]
    return base, [Contribution(path.name, path, "weights", 1.0) for path in paths]


@pytest.mark.parametrize("name", names("rondo.aggregate"))
def test_aggregate(
    benchmark: Callable[..., Any], name: str, sent: tuple[Path, list[Contribution]], tmp_path: Path
) -> None:
    base, contributions = sent
    rule = build_rule(name, {})
    memories = Memories(None, tmp_path / "after")
    benchmark.extra_info["mib"] = SITES * MIB  # type: ignore[attr-defined]
    benchmark(fold, base, contributions, rule, tmp_path / "out", memories)
