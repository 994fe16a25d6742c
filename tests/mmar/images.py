"""Small pictures with something round in them, as files, and the list that names them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def add_images(folder: Path, count: int = 4, size: int = 16) -> Path:
    """``count`` cases for training and half as many for validation, in ``folder/data``."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    cases = []
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for number in range(count + count // 2):
        centre = rng.uniform(size * 0.3, size * 0.7, 2)[:, None, None]
        label = (((grid - centre) ** 2).sum(0) < (size / 4) ** 2).astype(np.float32)
        image = (label + rng.normal(0, 0.2, label.shape)).astype(np.float32)
        case = {}
        for kind, array in (("image", image), ("label", label)):
            np.save(folder / "data" / f"{kind}_{number}.npy", array)
            case[kind] = f"{kind}_{number}.npy"
        cases.append(case)
    listed = {"description": "round things", "training": cases[:count], "validation": cases[count:]}
    (folder / "config" / "dataset_0.json").write_text(json.dumps(listed, indent=2))
    return folder
