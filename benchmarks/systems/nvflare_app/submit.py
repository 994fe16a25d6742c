"""Runs in NVFlare's environment: makes the job, submits it as an administrator, waits for its end.

Its argument is a JSON object; see ``benchmarks/systems/nvflare.py``, which writes it.
"""

import json
import os
import sys
from pathlib import Path

from nvflare.client.config import ExchangeFormat
from nvflare.fuel.flare_api.flare_api import new_secure_session
from nvflare.fuel.utils.constants import FrameworkType
from nvflare.recipe.fedavg import FedAvgRecipe
from persistor import Persistor

asked = json.loads(sys.argv[1])
tuning = asked["tuning"]


def make(folder: Path) -> Path:
    """The job as NVFlare's recipe writes it, with the settings that no recipe has laid into its files."""
    recipe = FedAvgRecipe(
        name="adds",
        model_persistor=Persistor(asked["notes"], asked["elements"], asked["clients"], asked["rounds"]),
        min_clients=asked["clients"],
        num_rounds=asked["rounds"],
        train_script="trainer.py",
        framework=FrameworkType.NUMPY,
        server_expected_format=ExchangeFormat.NUMPY,
        **tuning["recipe"],
    )
    recipe.add_server_file("work.py")
    recipe.add_client_file("work.py")
    if tuning["server"]:
        recipe.add_server_config({"server": tuning["server"]})
    recipe.export(str(folder))
    if tuning["controller"]:
        lay(folder, tuning["controller"])
    return folder / "adds"


def lay(folder: Path, settings: dict) -> None:
    """Give ``settings`` to the controller: arguments that it has and the recipe does not."""
    (file,) = folder.rglob("config_fed_server.json")
    config = json.loads(file.read_text())
    (workflow,) = config["workflows"]
    workflow.setdefault("args", {}).update(settings)
    file.write_text(json.dumps(config))


def main() -> int:
    job = make(Path("job").resolve())
    session = new_secure_session("admin@nvidia.com", asked["admin"])
    run = session.submit_job(str(job))
    code = session.monitor_job(run, timeout=asked["seconds"], poll_interval=0.5)
    status = session.get_job_status(run)
    print(f"{code}: {status}")
    return 0 if status == "FINISHED:COMPLETED" else 1


ended = 1
try:
    ended = main()
finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended)  # threads of the admin session keep the interpreter alive
