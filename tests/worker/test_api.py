"""``import rondo`` in a training script: cheap, and the loop runs outside a federation."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import rondo
from rondo.base.errors import BadInput, Conflict


def test_alone_there_is_one_round_from_the_weights_given(capsys: pytest.CaptureFixture[str]) -> None:
    model = torch.nn.Linear(2, 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rounds = 0
    for task in rondo.join(model.state_dict()):
        model.load_state_dict(task.model)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert (task.kind, task.round, task.rounds, task.site.name, task.data) == ("train", 0, 1, "alone", None)
        rondo.progress(0.5)
        task.submit(model.state_dict(), samples=8, metrics={"auc": torch.tensor(0.75)}, local_metrics={"odd": [1]})
        rounds += 1
    assert rounds == 1
    assert capsys.readouterr() == ("rondo: one local round, 8 samples, auc 0.75\n", "")


def test_alone_without_weights_the_model_says_what_to_write() -> None:
    (task,) = rondo.join()
    with pytest.raises(BadInput, match=r"write rondo.join\(model.state_dict\(\)\)"):
        _ = task.model


def test_alone_a_forgotten_submit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in rondo.join({}):
        pass
    assert "was not submitted" in capsys.readouterr().err


def test_what_is_given_to_join_must_be_weights() -> None:
    with pytest.raises(BadInput, match="got a Linear"):
        rondo.join(torch.nn.Linear(1, 1))  # type: ignore[arg-type]


def test_a_task_is_submitted_once() -> None:
    (task,) = rondo.join({})
    task.submit({}, samples=1)
    with pytest.raises(Conflict, match="submitted before"):
        task.submit({}, samples=1)


def test_import_costs_nothing_and_names_are_there() -> None:
    code = "import sys, rondo; assert not {'numpy', 'msgspec', 'rondo.jobs'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"join", "progress", "Update", "Task", "Site"} <= set(dir(rondo))
    assert rondo.Update is rondo.__getattr__("Update")
    with pytest.raises(AttributeError, match="no attribute 'jion'"):
        rondo.jion  # noqa: B018


def test_a_script_does_not_pay_for_numpy_until_it_is_in_a_worker() -> None:
    code = "import sys, rondo; list(rondo.join({})); assert not {'numpy', 'asyncio', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
