"""The end of a run at a site: what a job's code does after its last task is done, too."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.real.world import world, write_job

SCRIPT = """
import numpy as np
import rondo

for task in rondo.join({"w": np.zeros(4, np.float32)}):
    task.submit({"w": task.model["w"] + 1}, samples=1.0)
(task.data / "after").write_text(f"after round {task.round}")
"""
TOML = """[model]
function = "first:new_model"
[client]
trainer = { name = "script", script = "work.py" }
"""
FIRST = "import numpy as np\n\n\ndef new_model():\n    return {'w': np.zeros(4, np.float32)}\n"


async def test_a_script_goes_on_behind_its_last_task(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.mkfifo(data / "after")
    job = write_job(tmp_path / "job", code=SCRIPT, toml=TOML, min_clients=1, num_rounds=2)
    (job / "first.py").write_text(FIRST)
    async with world(tmp_path / "w", {"a": data}) as made:
        said = asyncio.create_task(asyncio.to_thread((data / "after").read_text))  # until it is written
        _, events = await made.run(job)
        assert events[-1].kind == "run_finished"
        assert await said == "after round 1"
