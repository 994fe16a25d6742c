"""A model bigger than the memory that the server and its workers may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from rondo.simulator.local import SERVER
from rondo.tensors.files import TensorFile
from tests.real.watching import most_memory, workers
from tests.real.world import world, write_job

# What each process of the server may hold: RLIMIT_DATA counts heap, anonymous maps and thread stacks, touched or not,
# and lets the next allocation fail. It does not count mapped files, whose pages the system takes back when it likes.
LIMIT = 400 * 10**6
COUNT = 28_000_000  # numbers in each of four arrays: 448 MB

WORK = """
import numpy as np
import rondo


def new_model(count):
    return {f"w{n}": np.broadcast_to(np.float32(n), (count,)) for n in range(4)}


class Clinic:
    def __init__(self, site):
        pass

    def train(self, model, task):
        return rondo.Update({name: model[name] + np.float32(1) for name in model}, samples=1.0)
"""
TOML = f"""
[model]
function = "work:new_model"
args = {{ count = {COUNT} }}
[client]
trainer = {{ name = "function", class = "work:Clinic" }}
"""


async def test_a_model_that_does_not_fit_in_the_servers_memory(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}, absent=["a"]) as made:
        # From here on, for the server and whatever it starts.
        psutil.Process(made.pid(SERVER)).rlimit(psutil.RLIMIT_DATA, (LIMIT, LIMIT))
        await made.start("a")
        job = write_job(tmp_path / "job", code=WORK, toml=TOML, min_clients=1, num_rounds=1, final_validation=False)
        run = await made.session.submit(job)
        await made.until("round_folding", run)
        (fold,) = [worker for worker in workers(made.pid(SERVER)) if not worker.children()]
        assert fold.rlimit(psutil.RLIMIT_DATA) == (LIMIT, LIMIT)
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1]
        assert most_memory(made.pid(SERVER)) < LIMIT / 2
        (path,) = made.workspaces[SERVER].glob("run_*/mmar_server/models/FL_global_model.safetensors")
        with TensorFile(path) as model:
            assert [(float(array.min()), float(array.max())) for array in model.values()] == [
                (n + 1.0, n + 1.0) for n in range(4)
            ]


def test_the_limit_is_one() -> None:
    """Whoever holds such a model fails."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT}, {LIMIT}))\n"
        f"import numpy as np; [np.ones({COUNT}, np.float32) for _ in range(4)]"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Unable to allocate" in ended.stderr
