"""The whole federation, once: everything real, nothing killed."""

from __future__ import annotations

from pathlib import Path

from tests.real.world import world, write_job


async def test_two_clients_train_one_model(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        run, events = await made.run(write_job(tmp_path / "job", num_rounds=2, best_metric="mean"))
        assert events[-1].kind == "run_finished", events[-1]
        models = (await made.session.facts("list_models", str(run)))["models"]
        assert [model["version"] for model in models] == [0, 1, 2]
        assert all("mean" in model["metrics"] for model in models)
        code, answer = await made.admin("check_status server")
        assert code == 0 and answer["status"] == "training stopped"
