"""The versions of the global model: committed with their round in one ledger transaction, with their provenance."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from rondo.base.disk import disk_errors
from rondo.jobs.job import Job
from rondo.ledger import events, models, rounds, runs
from rondo.ledger.ledger import Tx
from rondo.ledger.rounds import Contribution, Key
from rondo.ledger.runs import Run
from rondo.server.folded import Folded
from rondo.server.metrics import average
from rondo.server.recoding import Made
from rondo.server.store import Store


class Models:
    def __init__(self, store: Store, run: Run, job: Job) -> None:
        self._store = store
        self._run = run
        self._job = job

    async def begin(self, made: Made, source: str) -> None:
        """Version ``start_round``: what the first round starts from."""
        model = await self._model(self._run.start_round, made, {"source": source, "job": self._run.package})
        await self._store.do(_begin, model)
        self._link(model.digest, "FL_global_model.safetensors")

    async def commit(self, key: Key, folded: Folded, made: Made, updates: Sequence[Contribution]) -> None:
        """Round and version ``round + 1`` become true together; then the files follow."""
        await asyncio.to_thread(folded.keep, self._store.blobs)
        weights = folded.weights
        contributors = [
            {"client": u.client, "digest": u.digest, "weight": weights[u.client], "samples": u.samples} for u in updates
        ]
        provenance = {"run": self._run.id, "round": key[1], "contributors": contributors, "job": self._run.package}
        provenance |= {"aggregator": self._job.server.aggregator.name, **folded.remembered}
        model = await self._model(key[1] + 1, made, provenance)
        averages = average(updates)

        def write(tx: Tx) -> tuple[list[str], str]:
            runs.see_open(tx, self._run.id)
            models.add(tx, model)
            return self._close(tx, key, averages, [u.client for u in updates if weights[u.client]], version=key[1] + 1)

        forgotten, best = await self._store.do(write)
        self._link(model.digest, "FL_global_model.safetensors")
        self._tidy(forgotten, best)

    async def measure(self, key: Key, updates: Sequence[Contribution]) -> None:
        """End a validate round: the metrics are those of the version it was given."""

        def write(tx: Tx) -> tuple[list[str], str]:
            return self._close(tx, key, average(updates), [u.client for u in updates], version=key[1])

        self._tidy(*await self._store.do(write))

    def _close(
        self, tx: Tx, key: Key, averages: dict[str, float], contributors: list[str], version: int
    ) -> tuple[list[str], str]:
        """Within the commit: metrics belong to the version the round started from; see whether it is the best."""
        now, row = self._store.clock.now(), rounds.get(tx, key)
        assert row is not None
        models.measure(tx, self._run.id, row.version, averages)
        best = self._best(tx, row.version, averages)
        rounds.end_round(tx, key, "committed", now)
        data = {"round": key[1], "task": key[2], "version": version, "metrics": averages, "contributors": contributors}
        events.record(tx, now, self._run.id, "round_committed", {**data, "seconds": now - row.opened_at})
        if best is not None:
            runs.note(tx, self._run.id, best_version=best.version)
            news = {
                "version": best.version,
                "metric": self._job.server.best_metric,
                "value": averages[self._job.server.best_metric],
            }
            events.record(tx, now, self._run.id, "new_best", news)
        events.forget_progress(tx, self._run.id)
        current = runs.get(tx, self._run.id)
        keep = {version} | ({current.best_version} if current and current.best_version is not None else set())
        return models.forget(tx, self._run.id, keep), best.digest if best else ""

    def _best(self, tx: Tx, version: int, averages: dict[str, float]) -> models.Model | None:
        """The model just measured, if it beats every earlier one in the job's metric."""
        metric, run = self._job.server.best_metric, runs.get(tx, self._run.id)
        if metric not in averages or run is None:
            return None
        sign = -1.0 if self._job.server.best_mode == "min" else 1.0
        earlier = models.get(tx, run.id, run.best_version) if run.best_version is not None else None
        if (
            earlier is not None
            and earlier.version != version
            and sign * averages[metric] <= sign * earlier.metrics[metric]
        ):
            return None
        return models.get(tx, run.id, version)

    async def _model(self, version: int, made: Made, provenance: dict[str, Any]) -> models.Model:
        """The row of a new version, whose files are the store's from now on."""
        await asyncio.to_thread(made.keep, self._store.blobs)
        return models.Model(
            self._run.id, version, made.file.digest, made.file.size, True, {}, provenance, self._store.clock.now(),
            made.sent.digest, made.sent.size, made.codecs,
        )  # fmt: skip

    def _tidy(self, forgotten: list[str], best: str) -> None:
        if best:
            self._link(best, "best_FL_global_model.safetensors")
        for digest in forgotten:
            self._store.blobs.delete(digest)

    def _link(self, digest: str, name: str) -> None:
        """Show the model in the run folder under the name people look for; a second name, not a second copy."""
        folder = self._store.run_folder(self._run.number) / "mmar_server" / "models"
        part = folder / f".{name}"
        with disk_errors(folder, "show the model in the run's folder"):
            folder.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            os.link(self._store.blobs.local(digest), part)
            part.replace(folder / name)


def _begin(tx: Tx, model: models.Model) -> None:
    if models.get(tx, model.run, model.version) is None:
        models.add(tx, model)
        events.record(tx, model.at, model.run, "model_ready", {"version": model.version, "digest": model.digest})
