"""The peers' own virtual environments under ``.bench/``.

``python -m benchmarks.environments`` makes those that are missing. Each peer is installed as its package index has
it, but without what a NumPy model has no use for (no torch).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.case import Failed

FOLDER = Path(__file__).parents[1] / ".bench"
PEERS = {"nvflare": "nvflare==2.9.0", "flower": "flwr==1.42.0"}
# Dependencies whose lower bound is newer than some package indexes are; the version does not matter on loopback.
UNBOUND = ("certifi",)
REQUIRES = (
    "import importlib.metadata, sys; "
    "print('\\n'.join(r for r in importlib.metadata.requires(sys.argv[1]) or () if 'extra ==' not in r))"
)
VERSIONS = (
    "import importlib.metadata, json, sys; "
    "print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))"
)


def binaries(system: str) -> Path:
    """The ``bin`` of a peer's environment. Raises ``Failed`` if it is not made yet."""
    found = FOLDER / system / "bin"
    if not _stamp(system).exists():
        raise Failed(f"{system} is not installed: run `make bench-peers`, or `python -m benchmarks.environments`")
    return found


def versions(system: str, *packages: str) -> dict[str, str]:
    """Of what is installed in a peer's environment."""
    found = subprocess.run(
        [binaries(system) / "python", "-c", VERSIONS, *packages], check=True, capture_output=True, text=True
    )
    return dict(json.loads(found.stdout))


def make(system: str) -> None:
    """Make the environment, unless it holds this release already."""
    requirement = PEERS[system]
    stamp = _stamp(system)
    if stamp.exists() and stamp.read_text() == requirement:
        return
    print(f"Installing {requirement} into .bench/{system} (once)", file=sys.stderr)
    folder = FOLDER / system
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", requirement], check=True)
    name = requirement.partition("==")[0]
    needed = subprocess.run([python, "-c", REQUIRES, name], check=True, capture_output=True, text=True).stdout
    wanted = [_unbound(line) for line in needed.splitlines()]
    # What pip says about the bound that was dropped is known; a failure still fails.
    subprocess.run([*pip, "numpy", *wanted], check=True, stderr=subprocess.PIPE)
    stamp.write_text(requirement)


def _stamp(system: str) -> Path:
    return FOLDER / system / "rondo-bench"


def _unbound(requirement: str) -> str:
    return next((name for name in UNBOUND if requirement.startswith(name)), requirement)


def main() -> None:
    for system in sys.argv[1:] or PEERS:
        make(system)


if __name__ == "__main__":
    main()
