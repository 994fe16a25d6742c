"""A job that validates one model: a copy of any job with two files more."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.jobs.check import check_job
from rondo.jobs.evaluation import FILE, with_model
from rondo.jobs.job import read_job
from tests.jobs.folders import fill, make_job, tree
from tests.mmar.folders import make_mmar


@pytest.mark.parametrize("make", [make_job, make_mmar])
def test_any_job_becomes_one(tmp_path: Path, make: type) -> None:
    job = make(tmp_path / "job")
    before, model = tree(job), fill(tmp_path, {"best one.safetensors": b"weights"}) / "best one.safetensors"
    copy = with_model(job, model, ["site-1"], tmp_path / "scratch")
    made, plain = read_job(copy), read_job(job)
    assert tree(job) == before and tree(copy)[made.model.file] == b"weights"
    assert made.evaluation is not None and (made.evaluation.name, made.evaluation.sites) == ("best one", ("site-1",))
    assert (made.server.start_round, made.server.num_rounds, made.server.final_validation) == (0, 0, False)
    assert made.client == plain.client and plain.evaluation is None
    check_job(made, copy)


def test_what_is_no_model_and_what_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job")
    for name in ("none.pt", "job/job.toml"):
        with pytest.raises(BadInput, match=r"is no file that ends in \.safetensors or \.pt"):
            with_model(job, tmp_path / name, [], tmp_path / "scratch")
    for text, says in (
        ('name = "x"', "file"),
        ('file = "m.pt"\nname = ""', "name must be"),
        ("x = 1", "unknown key 'x'"),
    ):
        fill(job, {FILE: text})
        with pytest.raises(BadInput, match=rf"evaluate\.toml: .*{says}"):
            read_job(job)
