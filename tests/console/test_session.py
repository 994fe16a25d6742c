"""An admin's session with a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.commands.rows import Text
from tests.real.world import World, world, write_job


async def uploaded(made: World, folder: str) -> str:
    """What the server answers to ``upload_folder``."""
    (text,) = [row.text async for row in made.session.rows("upload_folder", [folder]) if isinstance(row, Text)]
    return text


async def test_a_folder_is_uploaded_under_the_name_it_really_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(tmp_path / "jobs" / "lung")
    (tmp_path / "link").symlink_to(job)
    monkeypatch.chdir(job)
    async with world(tmp_path / "w", {}) as made:
        write_job(made.session.kit.workspace / "transfer" / "heart")
        assert (await uploaded(made, str(tmp_path / "link"))).endswith("/transfer/lung")
        assert (await uploaded(made, "heart/")).endswith("/transfer/heart")
        with pytest.raises(BadInput, match='"nowhere" is not a valid folder'):
            await uploaded(made, "nowhere")
        run = await made.session.submit(Path("."))
        assert [line["name"] for line in (await made.session.facts("list_runs"))["runs"]] == ["lung"] and run == 1
