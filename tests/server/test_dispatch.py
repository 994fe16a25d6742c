"""Who may take part in a run, as far as its codecs go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rondo.base.errors import Conflict
from rondo.jobs.job import read_job
from rondo.ledger import sessions
from rondo.server.dispatch import see_able, unable
from tests.ledger.rows import session
from tests.real.world import write_job
from tests.server.house import house


def coded(folder: Path) -> Path:
    job = write_job(folder)
    with (job / "job.toml").open("a") as file:
        file.write('\n[transfer]\nup = "topk"\ndown = "bf16"\n')
    return job


def test_a_client_that_knows_the_codecs_is_able(tmp_path: Path) -> None:
    job, plain = read_job(coded(tmp_path / "coded")), read_job(write_job(tmp_path / "plain"))
    old = session("t")
    assert unable(plain, old) == ""
    assert unable(job, old) == "its Rondo 0.1.0 does not know the codec bf16 and topk: upgrade the client"
    half = replace(old, capabilities=["codec:bf16", "codec:planes"])
    assert unable(job, half) == "its Rondo 0.1.0 does not know the codec topk: upgrade the client"
    assert unable(job, replace(old, capabilities=["codec:topk", "codec:bf16"])) == ""


async def test_whoever_calls_a_client_by_name_is_told_that_it_cannot(tmp_path: Path) -> None:
    job = coded(tmp_path / "job")
    async with house(tmp_path / "w") as made:
        await made.store.do(sessions.add, session("old", "old"))
        await made.store.do(sessions.add, session("new", "new", capabilities=["codec:topk", "codec:bf16"]))
        with pytest.raises(Conflict, match=r"old cannot take part: its Rondo .* does not know the codec"):
            await made.store.read(see_able, job, "old")
        await made.store.read(see_able, job, "new")
        await made.store.read(see_able, tmp_path / "not there yet", "old")


async def test_a_client_that_comes_back_upgraded_is_able(tmp_path: Path) -> None:
    async with house(tmp_path / "w") as made:
        await made.store.do(sessions.add, session("t", "site"))
        await made.store.do(sessions.able, "t", "0.2.0", ["codec:topk"])
        (found,) = await made.store.read(sessions.present)
        assert (found.version, found.capabilities) == ("0.2.0", ["codec:topk"])
