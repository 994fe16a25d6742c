"""``rondo mmar check``: all that is wrong with an MMAR at once, each at its place; and what an upload refuses by it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.mmar.folders import ALONE, make_mmar, make_own
from tests.mmar.images import add_images


def check(folder: Path, *more: str) -> tuple[int, str, str]:
    """Exit code and output of the command, as a process: MONAI is imported where it would be."""
    command = [sys.executable, "-m", "rondo", "mmar", "check", str(folder), *more]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    return outcome.returncode, outcome.stdout, outcome.stderr


SPOILED: dict[str, Any] = {
    "server aggregator args exclude_vars": "[",
    "server model_persistor args model args chanels": [1],
    "client client outbound_filters 0 name": "ExcludVars",
    "train train loss name": "DiceLos",
    "train train optimizer args lr": "{RATE}",
    "train train lr_scheduler args step": 3,
    "train train model args": {"spatial_dims": 2},
    "train train handlers 3 args output_transform": "lambda x: open(x)",
    "train train dataloader": ...,
    "train validate post_transforms 1": {"ref": "Nothing"},
    "train validate metrics 1": {"path": "os.system", "log_label": "x"},
    "validation dataset name": "Datset",
    "validation inferer": {"path": "parts.Inferer"},
}


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    folder = add_images(make_mmar(tmp_path, SPOILED, {"custom/parts.py": "class Other:\n    pass\n"}))
    (folder / "data/label_1.npy").unlink()
    code, out, err = check(folder, "--format", "json")
    told = json.loads(out)
    errors = [f"{one['where']}: {one['what']}" for one in told["findings"] if one["level"] == "error"]
    assert (code, told["errors"]) == (3, len(errors)), err
    train, server = "config/config_train.json", "config/config_fed_server.json"
    expected = {
        f"{server}:17:23: exclude_vars is no regular expression: unterminated character set at position 0",
        f"{server}:43:22: UNet has no argument 'chanels'",
        "config/config_fed_client.json:11:17: no filter 'ExcludVars'",
        f"{train}:14:15: no loss 'DiceLos' in monai, torch or ignite",
        f"{train}:23:15: {{RATE}} is not defined",
        f"{train}:31:17: StepLR has no argument 'step'",
        f"{train}:35:15: UNet: missing a required argument: 'in_channels'",
        f"{train}:118:31: the name 'open' is not allowed in an expression",
        f"{train}:1:1: dataloader is missing in train",
        f"{train}:224:16: ref names 'Nothing', which train's post_transforms has not",
        f"{train}:238:17: 'os.system' may not be used here, or there is none",
        "config/config_validation.json:58:13: no dataset 'Datset' in monai, torch or ignite",
        "config/config_validation.json:72:13: module 'parts' has no 'Inferer'",
        "config/dataset_0.json:10:16: no file 'label_1.npy' in data",
    }
    assert set(errors) == expected
    assert "Error: " in err and err.rstrip().endswith(f"{len(errors)} errors")


def test_a_sound_mmar_passes_with_its_warnings(tmp_path: Path) -> None:
    code, out, err = check(add_images(make_mmar(tmp_path)))
    assert code == 0, out + err
    assert out.endswith("nothing wrong found\n")
    assert "warning: config/config_train.json:87:15: CheckpointLoader" not in out  # it is disabled
    assert "warning: config/config_fed_server.json:18:30: aggregation_weights share out the mean" in out


def test_variables_can_be_given_and_custom_code_is_not_run(tmp_path: Path) -> None:
    folder = make_own(tmp_path / "own", {"step": "{RATE}"}, ALONE)
    own = folder / "custom" / "own.py"
    own.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{own.read_text()}")
    code, out, _ = check(folder, "--set", "RATE=0.5", "--strict")
    assert "{RATE}" not in out
    assert code == 3 and out.count("error:") == 1 and "config/config_validation_ckpt.json is missing (strict" in out
    assert not (tmp_path / "ran").exists()


def test_what_is_no_mmar_is_no_input(tmp_path: Path) -> None:
    code, out, err = check(tmp_path)
    assert (code, out) == (3, "")
    assert "no MMAR here (it would have config/config_fed_server.json)" in err
    assert check(make_mmar(tmp_path), "--set", "RATE")[0] == 2
