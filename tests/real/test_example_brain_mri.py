"""examples/brain-mri in its short form: a 3D MMAR over NIfTI files at two sites, from kits to the pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "brain-mri"


@pytest.mark.timeout(300)
def test_two_scanners_learn_together(tmp_path: Path) -> None:
    where = tmp_path / "demo"
    command = [sys.executable, str(EXAMPLE / "demo.py"), "--short", "--dir", str(where)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("One real averaged brain, simulated scanners: plain, inverted.")

    # Every model is measured at every site, and the table says what was measured.
    results = json.loads((where / "results.json").read_text())
    models = ["inverted", "plain", "FL_global_model", "best_FL_global_model"]
    dice = {(one["model"], one["site"]): (one["metrics"] or {}).get("val_mean_dice") for one in results["validation"]}
    assert list(dice) == [(model, site) for site in ("inverted", "plain") for model in models]
    assert all(dice.values()), results["validation"]
    for model in models:
        values = [dice[model, site] for site in ("inverted", "plain")]
        assert "".join(f"{value:10.3f}" for value in values) in done.stdout

    # It learns, from images that differ as the scanners do.
    received = [one for one in results["metrics"] if one["scope"] == "global" and one["name"] == "val_mean_dice"]
    means = [np.mean([one["value"] for one in received if one["round"] == number]) for number in range(3)]
    assert means[0] < means[1] < means[2]
    assert {path.name for path in (where / "pictures").iterdir()} == {
        f"brain-mri-{name}.png" for name in ("curves", "heat-map", "scanners")
    }
