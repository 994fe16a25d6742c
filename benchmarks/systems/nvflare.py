"""NVFlare 2.9.0: provisioned with its own tool (mutual TLS), server and clients started by their own kits' scripts."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import environments, work
from benchmarks.case import Case, Failed, Result
from benchmarks.notes import read_notes
from benchmarks.peaks import Peaks, by_word
from benchmarks.processes import Processes, environment, free_ports

APP = Path(__file__).parent / "nvflare_app"
SERVER = "localhost"
ADMIN = "admin@nvidia.com"
STARTED = 120.0  # seconds that server and clients may take to know each other
PROJECT = """\
api_version: 3
name: bench
participants:
  - {{name: localhost, type: server, org: nvidia, fed_learn_port: {port}}}
{clients}
  - {{name: admin@nvidia.com, type: admin, org: nvidia, role: project_admin}}
builders:
  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder
    args: {{template_file: [master_template.yml]}}
  - path: nvflare.lighter.impl.static_file.StaticFileBuilder
    args: {{config_folder: config}}
  - path: nvflare.lighter.impl.cert.CertBuilder
  - path: nvflare.lighter.impl.signature.SignatureBuilder
"""
NOTHING: dict[str, dict[str, Any]] = {"recipe": {}, "server": {}, "controller": {}, "environment": {}}
# Memory: "Memory Management Best Practices" of its documentation (docs/programming_guide/memory_management.rst):
# cleanup every 1 to 3 rounds for large models, two arenas where memory matters most. Speed: the intervals of its
# "Timeouts" reference (docs/programming_guide/timeouts.rst) that can still be set, from 2 and 0.5 s to a tenth.
BEST: dict[str, dict[str, Any]] = {
    "recipe": {"server_memory_gc_rounds": 1, "client_memory_gc_rounds": 1},
    "server": {"task_request_interval": 0.1},
    "controller": {"task_check_period": 0.1},
    "environment": {"MALLOC_ARENA_MAX": "2"},
}

ROLES = {
    "runner_process": "job process",
    "worker_process": "job process",
    "server_train": "parent process",
    "client_train": "parent process",
}


def measure(case: Case, folder: Path) -> Result:
    binaries = environments.binaries("nvflare")
    tuning = BEST if case.tuning == "best" else NOTHING
    env = environment(binaries, folder, tuning["environment"])
    notes = folder / "notes.jsonl"
    with Peaks(by_word(ROLES)) as peaks, Processes(folder, env) as processes:
        kits = _provision(processes, binaries, case.clients, folder)
        peaks.watch("server", processes.start("server", [kits / SERVER / "startup" / "sub_start.sh", "--once"]))
        processes.wait_for("the server's start", lambda: "Server started" in processes.tail("server"), STARTED)
        for number in range(case.clients):
            script = kits / f"site-{number}" / "startup" / "sub_start.sh"
            peaks.watch(f"client {number}", processes.start(f"client-{number}", [script, "--once"]))
        log = processes.log("server")
        joined = [f"New client site-{number}@" for number in range(case.clients)]
        processes.wait_for("all clients' start", lambda: all(one in log.read_text() for one in joined), STARTED)
        for file in (*APP.glob("*.py"), Path(work.__file__)):
            shutil.copy(file, folder)
        try:
            processes.run("submit", [binaries / "python", "submit.py", _asked(case, kits, notes, tuning)], case.seconds)
        except Failed as failure:
            raise Failed(f"{peaks.guarded or failure}\nserver: {processes.tail('server')}") from None
        noise = peaks.noise()
        versions = environments.versions("nvflare", "nvflare", "grpcio", "numpy")
    moments, correct = read_notes(notes, case.rounds)
    seconds = [after - before for before, after in itertools.pairwise(moments)]
    return Result(seconds, peaks.mb(), correct, _settings(tuning), versions, noise=noise)


def _provision(processes: Processes, binaries: Path, clients: int, folder: Path) -> Path:
    """The folder of all kits. Job and snapshot stores stay inside of ``folder``."""
    sites = "\n".join(f"  - {{name: site-{number}, type: client, org: nvidia}}" for number in range(clients))
    (port,) = free_ports(1)
    (folder / "project.yml").write_text(PROJECT.format(port=port, clients=sites))
    processes.run("provision", [binaries / "nvflare", "provision", "-p", "project.yml", "-w", folder], 300)
    kits = folder / "bench" / "prod_00"
    local = kits / SERVER / "local"
    resources = json.loads((local / "resources.json.default").read_text())
    (local / "resources.json").write_text(json.dumps(_inside(folder / "store", resources)))
    return kits


def _inside(folder: Path, config: Any) -> Any:
    """``config`` with its stores in ``folder``: as they come they are folders that all servers of a machine share."""
    if isinstance(config, list):
        return [_inside(folder, one) for one in config]
    if not isinstance(config, dict):
        return config
    stores = {name for name in ("root_dir", "uri_root") if len(str(config.get(name, "/"))) > 1}
    laid = {name: str(folder / Path(config[name]).name) for name in stores}
    return {name: laid.get(name, _inside(folder, value)) for name, value in config.items()}


def _asked(case: Case, kits: Path, notes: Path, tuning: Mapping[str, Any]) -> str:
    return json.dumps(
        {
            "admin": str(kits / ADMIN),
            "notes": str(notes),
            "elements": work.count(case.megabytes),
            "clients": case.clients,
            "rounds": case.rounds,
            "seconds": case.seconds,
            "tuning": tuning,
        }
    )


def _settings(tuning: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "transport": "its default driver (http), mutual TLS",
        "trainer": "in the client's job process (its in-process Client API)",
        "storage": "none: the persistor keeps the model in memory",
        "array streaming": "on (its default for NumPy, 2 MB chunks)",
        "tensor streaming, tensor disk offload": "PyTorch only, by its own warning",
        **{f"{part}.{name}": value for part, settings in tuning.items() for name, value in settings.items()},
    }
