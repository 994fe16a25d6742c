"""A MONAI bundle, submitted as people type it, trains at two sites and is measured by its own evaluation."""

from __future__ import annotations

from pathlib import Path

from rondo.simulator.local import ADMIN
from tests.real.test_console_commands import rondo
from tests.real.world import world
from tests.trainers.bundles import write_bundle, write_data


async def test_a_bundle_is_submitted_trained_and_measured(tmp_path: Path) -> None:
    code = write_bundle(tmp_path / "shapes")
    sites = {name: write_data(tmp_path / name, seed=10 * number) for number, name in enumerate(("a", "bb"))}
    async with world(tmp_path / "w", dict(sites)) as made:
        options = ["--rounds", "2", "--local-epochs", "3", "--min-clients", "2"]
        shown = await rondo("job", "submit", str(code), "--kit", str(made.workspaces[ADMIN]), *options, "--watch")
        assert shown.code == 0, shown.err
        events = await made.ended(1)
        metrics = (await made.session.facts("list_metrics", "1"))["metrics"]
    assert events[-1].kind == "run_finished"
    dice = {(row["round"], row["client"]): row["value"] for row in metrics if row["name"] == "val_mean_dice"}
    assert dice.keys() == {(number, client) for number in range(3) for client in ("a", "bb")}
    assert all(dice[2, client] > dice[0, client] for client in ("a", "bb"))
