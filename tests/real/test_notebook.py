"""A real notebook: cells are executed by a Jupyter kernel, and show what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from rondo.simulator.local import ADMIN
from tests.real.world import LONG, world, write_job

CELLS = (
    "import rondo\nadmin = rondo.connect('kit')",
    "admin.sites()",
    "run = admin.submit('study')\nrun.show()",
    "run.metrics()",
    "admin.command('check_status server')",
    "with rondo.connect('kit') as other:\n    print(len(other.runs()))",
    "admin.close()",
)


async def test_a_notebook_shows_tables_and_a_live_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        (tmp_path / "kit").symlink_to(made.workspaces[ADMIN])
        write_job(tmp_path / "study", num_rounds=2)
        client = NotebookClient(book, timeout=LONG, resources={"metadata": {"path": str(tmp_path)}})
        await client.async_execute()
    sites, shown, metrics, status, count = (cell.outputs for cell in book.cells[1:6])

    def html(outputs: Any) -> str:
        return "".join(output.get("data", {}).get("text/html", "") for output in outputs)

    assert "<td>a</td><td>here</td>" in html(sites)
    assert "finished" in html(shown) and "2 of 2 rounds" in html(shown) and len(shown) == 2, "one picture, and the run"
    assert "<table" in html(metrics) and "loss" in html(metrics)
    assert "<th>CLIENT NAME</th>" in html(status)
    assert count[0].text == "1\n"
