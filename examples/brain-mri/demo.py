"""Four hospitals, four scanners, one model: the MMAR beside this file in a federation of real processes.

Two runs: in the first each site trains alone, in the second all train one model. Every model is then measured at every
site. Real kits, a real server, four real clients, mutual TLS; what is simulated is the scanners and the distance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from data import SCANNERS, make_sites
from pictures import draw_curves, draw_heat_map, draw_scanners

import rondo
from rondo.console.api import Session
from rondo.console.run import Run
from rondo.console.session import log_in
from rondo.simulator.local import ADMIN, Federation, Layout, federation

MMAR = Path(__file__).parent / "mmar"
GLOBAL = ("FL_global_model", "best_FL_global_model")
METRIC = "val_mean_dice"

Settings = dict[str, Any]
Entry = dict[str, Any]
FULL: Settings = {"rounds": 48, "epochs": 1, "millimetres": 3, "sites": tuple(SCANNERS), "alone": True}
SHORT: Settings = {"rounds": 2, "epochs": 1, "millimetres": 6, "sites": ("plain", "inverted"), "alone": False}


def copy_mmar(folder: Path, rounds: int, epochs: int, clients: int, every: int) -> Path:
    """The MMAR, with so many rounds of so many epochs, validated every so many epochs."""
    shutil.copytree(MMAR, folder)
    server, client, train = (
        folder / "config" / f"config_{name}.json" for name in ("fed_server", "fed_client", "train")
    )
    texts = [json.loads(path.read_text()) for path in (server, client, train)]
    texts[0]["servers"][0] |= {"num_rounds": rounds, "min_num_clients": clients}
    texts[1]["client_trainer"]["args"]["local_epochs"] = epochs
    texts[2]["num_interval_per_valid"] = every
    for path, text in zip((server, client, train), texts, strict=True):
        path.write_text(json.dumps(text, indent=2))
    return folder


def run_mmar(admin: Session, number: int, folder: Path) -> tuple[Run, list[Entry]]:
    """What an admin of Clara types: the run it comes to, and the matrix of its cross-site validation."""

    def typed(line: str) -> Mapping[str, Any]:
        print(f"> {line.replace(str(folder), folder.name)}", flush=True)
        return admin.command(line).facts

    for line in ("set_timeout 120", f"upload_folder {folder}", f"set_run_number {number}"):
        typed(line)
    typed(f"deploy {folder.name} server")
    typed(f"deploy {folder.name} client")
    run = admin.run(int(typed("start server")["run"]))
    typed("start client")
    began = time.monotonic()
    for event in run.watch():
        if event.kind == "round_committed":
            print(f"  {time.monotonic() - began:6.1f} s  {event.data['task']} {event.data['round']}", flush=True)
    run.wait()
    return run, typed("validate all")["entries"]


def compare(alone: list[Entry], together: list[Entry]) -> list[Entry]:
    """Every site's own model and the two federated ones, on every site's data."""
    word = " alone" if alone is not together else ""
    own = [one | {"model": one["model"] + word} for one in alone if one["model"] not in GLOBAL]
    return sorted(own + [one for one in together if one["model"] in GLOBAL], key=lambda one: str(one["site"]))


def table(entries: Sequence[Entry]) -> str:
    """Dice by model (rows) and site (columns)."""
    sites, models = (list(dict.fromkeys(one[key] for one in entries)) for key in ("site", "model"))
    dice = {(one["model"], one["site"]): (one["metrics"] or {}).get(METRIC, float("nan")) for one in entries}
    lines = [f"{'model':24}" + "".join(f"{site:>10}" for site in sites) + f"{'worst':>10}"]
    for model in models:
        values = [dice[model, site] for site in sites]
        lines.append(f"{model:24}" + "".join(f"{value:10.3f}" for value in [*values, min(values)]))
    return "\n".join(lines)


def research(kit: Path, where: Path, settings: Settings) -> None:
    """What the researcher does: the runs, their figures, and the pictures of them."""
    rounds, epochs, clients = settings["rounds"], settings["epochs"], len(settings["sites"])
    with rondo.connect(kit, patience=60) as admin:
        alone: list[Entry] = []
        if settings["alone"]:
            print(f"\nRun 1: every site alone, {rounds * epochs} epochs; then every model is measured at every site.")
            _, alone = run_mmar(admin, 1, copy_mmar(where / "alone", 1, rounds * epochs, clients, epochs))
        print(f"\nRun 2: all together, {rounds} rounds of {epochs} epochs; then the same once more.")
        run, together = run_mmar(admin, 2, copy_mmar(where / "together", rounds, epochs, clients, epochs))
        entries = compare(alone or together, together)
        curves = admin.command(f"list_metrics {run.id}").facts["metrics"]
    print("\nDice of grey and white matter (1 is perfect) on volumes that no training has seen:\n")
    print(table(entries))
    (where / "results.json").write_text(json.dumps({"validation": entries, "metrics": curves}, indent=2))
    pictures = where / "pictures"
    draw_heat_map(entries, METRIC, pictures / "brain-mri-heat-map.png")
    draw_curves(curves, METRIC, pictures / "brain-mri-curves.png")
    draw_scanners(where / "data", pictures / "brain-mri-scanners.png")
    print(f"\nPictures: {pictures}\nFigures:  {where / 'results.json'}")


async def everybody(made: Federation, clients: set[str]) -> None:
    """Until all of these clients are logged in."""
    async with log_in(made.admin_kit, "demo", patience=60) as session, aclosing(session.watch()) as events:
        async for event in events:
            clients -= {event.data.get("client")} if event.kind == "client_joined" else set()
            if not clients:
                return


async def train(where: Path, data: dict[str, Path], settings: Settings) -> None:
    """Kits, server and clients; the researcher's work; and everything stopped again."""
    async with federation(where / "sites", Layout(data)) as made:
        await everybody(made, set(data))
        await asyncio.to_thread(research, made.workspaces[ADMIN], where, settings)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(f"rondo-demo-imaging-{time.strftime('%Y%m%d-%H%M%S')}")
    parser.add_argument("--dir", type=Path, default=default, help="where to work, a new folder (default: one here)")
    parser.add_argument("--short", action="store_true", help="two sites, small volumes, two rounds: does it work?")
    chosen = parser.parse_args()
    where, settings = chosen.dir.resolve(), SHORT if chosen.short else FULL
    where.mkdir(parents=True)
    print(f"One real averaged brain, simulated scanners: {', '.join(settings['sites'])}. All is kept in {where}")
    data = make_sites(where / "data", settings["millimetres"], settings["sites"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // len(data))))  # sites share the machine
    asyncio.run(train(where, data, settings))


if __name__ == "__main__":
    main()
