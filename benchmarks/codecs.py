"""What a codec saves, how fast it is, and what it costs the model: a line of JSON for each way to use one.

``python -m benchmarks.codecs [--megabytes 64 --seeds 10]``

- ``ratio``, ``encode_mib_s``, ``decode_mib_s``: of 20 float32 arrays, megabytes of plain file for each second of
  processor time on one core, reading and writing files included. On the way up it is what an update looks like: the
  difference of two float32 models, a thousandth as large as they are. On the way down it is the model.
- ``auc``: of the last model of the demo's job, on all test patients, mean over ``--seeds`` seeds of the run;
  ``auc_cost``: how much less that is than without codecs, mean over the same seeds, and ``auc_cost_error``, the
  standard error of that mean. Computed as a run computes it, by the same parts in one process
  (``tests/real/test_codecs.py`` holds that the bits are those of a run).
- ``update_bytes``, ``model_bytes``: what the demo's job moves, each update up and each model down.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rondo
from rondo.aggregate.folding import fold
from rondo.aggregate.seam import Contribution, build_rule
from rondo.codecs.coding import Feedback, decode, encode
from rondo.codecs.seam import Codec, build_codec
from rondo.filters.chain import UpdateFile, run_chain
from rondo.jobs.job import Job, read_job
from rondo.jobs.task import derive_seed
from rondo.simulator.demo import JOB
from rondo.simulator.figures import ALL
from rondo.simulator.report import evaluate
from rondo.simulator.thyroid.clinic import Clinic, new_model
from rondo.simulator.thyroid.data import prepare
from rondo.tensors.digest import FileInfo
from rondo.tensors.files import TensorFile, write_tensors

ARRAYS = 20
REPEATS = 3

# Name in the answer, then the codec up and the codec down, each as a name with its options.
Ways = tuple[tuple[str, Mapping[str, Any]] | None, tuple[str, Mapping[str, Any]] | None]
MEASURED: dict[str, Ways] = {
    "none": (None, None),
    "up planes": (("planes", {}), None),
    "up bf16": (("bf16", {}), None),
    "up int8": (("int8", {}), None),
    "up topk 0.1": (("topk", {"fraction": 0.1}), None),
    "up topk 0.01": (("topk", {"fraction": 0.01}), None),
    "down planes": (None, ("planes", {})),
    "down bf16": (None, ("bf16", {})),
    "up int8, down bf16": (("int8", {}), ("bf16", {})),
}


@dataclass(frozen=True)
class Demo:
    """The demo's job, its patients, and the clinics by name."""

    job: Job
    data: Path
    clinics: Mapping[str, Clinic]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a codec saves, its speed, and what it costs the model")
    parser.add_argument("--megabytes", type=int, default=64, help="size of the file whose coding is timed")
    parser.add_argument("--seeds", type=int, default=10, help="runs of the demo's job that an AUC is the mean of")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = timed_files(folder, arguments.megabytes)
        demo = opened(folder / "data")
        plain: list[float] = []
        for name, ways in MEASURED.items():
            codecs = [build_codec(*way) if way else None for way in ways]
            line: dict[str, Any] = {"codec": name}
            for codec, file in zip(codecs, files, strict=True):
                if codec is not None and sum(one is not None for one in codecs) == 1:
                    line |= speed(codec, file, folder)
            runs = [trained(demo, folder / "run", codecs[0], codecs[1], f"seed {n}") for n in range(arguments.seeds)]
            aucs = [run["auc"] for run in runs]
            plain = plain or aucs
            costs = [without - auc for without, auc in zip(plain, aucs, strict=True)]
            error = statistics.stdev(costs) / len(costs) ** 0.5 if len(costs) > 1 else 0.0
            line |= {"auc": round(statistics.mean(aucs), 4), "auc_cost": round(statistics.mean(costs), 4)}
            line |= {"auc_cost_error": round(error, 4)}
            line |= {key: runs[0][key] for key in ("update_bytes", "model_bytes")}
            print(json.dumps(line), flush=True)


# ---- ratio and speed ------------------------------------------------------------------------------------------------


def timed_files(folder: Path, megabytes: int) -> tuple[FileInfo, FileInfo]:
    """An update and a model of this size."""
    count, rng = megabytes * (1 << 20) // 4 // ARRAYS, np.random.default_rng(0)
    model, update = {}, {}
    for number in range(ARRAYS):
        before = rng.normal(0, 0.02, count).astype(np.float32)
        after = (before + rng.normal(0, 2e-5, count)).astype(np.float32)
        model[f"layer{number:02}"] = after
        update[f"layer{number:02}"] = (after.astype(np.float64) - before).astype(np.float32)
    return write_tensors(folder / "update", update), write_tensors(folder / "model", model)


def speed(codec: Codec, file: FileInfo, folder: Path) -> dict[str, float]:
    """The best of a few tries: a busy machine can only add to it."""
    mib = file.size / (1 << 20)
    feedback = Feedback(None, folder / "lost") if codec.feedback else None
    coded, there = fastest(lambda: encode(codec, file.path, folder / "coded", feedback))
    _, back = fastest(lambda: decode(codec, folder / "coded", folder / "plain"))
    return {
        "ratio": round(file.size / coded.size, 2),
        "encode_mib_s": round(mib / there),
        "decode_mib_s": round(mib / back),
    }


def fastest(work: Callable[[], FileInfo]) -> tuple[FileInfo, float]:
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        done = work()
        best = min(best, time.process_time() - began)
    return done, best


# ---- the demo's job -------------------------------------------------------------------------------------------------


def opened(data: Path) -> Demo:
    """The demo with its patients prepared in ``data``."""
    job = read_job(JOB)
    recipe = job.client.trainer.options["args"]
    sites = [share.site for share in prepare(data)]
    clinics = {site: Clinic(rondo.Site(site, data, JOB, data / site), **recipe) for site in sorted(sites)}
    return Demo(job, data, clinics)


def trained(demo: Demo, folder: Path, up: Codec | None, down: Codec | None, seed: str) -> dict[str, float]:
    """The demo's job with these codecs: the AUC of its last model, and the bytes of its last update and model."""
    rounds, lossy = demo.job.server.num_rounds, any(one is not None and not one.lossless for one in (up, down))
    model = write_tensors(folder / "0", new_model(**demo.job.model.args))
    lost: dict[str, Path | None] = dict.fromkeys(demo.clinics)
    for number in range(rounds):
        sent = encode(down, model.path, folder / "sent") if down else model
        received = decode(down, sent.path, folder / "received").path if down else model.path
        contributions = []
        for site, clinic in demo.clinics.items():
            task = rondo.Task("train", number, rounds, derive_seed(seed, site, number), clinic_site(demo, site))
            with TensorFile(received) as file:
                made = clinic.train(file, task)
            update, kind = write_tensors(folder / "trained", dict(made.tensors)), made.kind
            if lossy:
                update, kind = run_chain(received, UpdateFile(update.path, kind), [], 0, folder / "diff").file, "diff"
            if up:
                after = folder / f"lost-{site}-{number % 2}"
                feedback = Feedback(lost[site], after) if up.feedback else None
                update = encode(up, update.path, folder / f"coded-{site}", feedback)
                lost[site] = after
            plain = folder / f"plain-{site}"
            if up:
                decode(up, update.path, plain)
            else:
                update.path.replace(plain)
            contributions.append(Contribution(site, plain, kind, made.samples))
        rule = build_rule("mean", {})
        model = fold(model.path, contributions, rule, folder / str(number + 1)).model
    with TensorFile(model.path) as file:
        auc = evaluate({name: array.copy() for name, array in file.items()}, demo.data)[ALL].value
    return {"auc": auc, "update_bytes": update.size, "model_bytes": sent.size}


def clinic_site(demo: Demo, site: str) -> rondo.Site:
    return rondo.Site(site, demo.data, JOB, demo.data / site)


if __name__ == "__main__":
    main()
