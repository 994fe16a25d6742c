"""The trainer ``function``: a class of the job, and the short forms of what it may return."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.base.options import decode
from rondo.jobs.task import Site, Task, Update
from rondo.trainers.function import FunctionTrainer, Options, build

MODEL = {"w": np.ones(3, np.float32)}


def task(tmp_path: Path) -> Task:
    return Task("train", 0, 1, 7, Site("site-1", tmp_path, tmp_path))


class Returns:
    def __init__(self, value: object) -> None:
        self.value = value

    def train(self, model: object, task: Task) -> object:
        return self.value

    def validate(self, model: object, task: Task) -> object:
        return self.value


@pytest.mark.parametrize(
    ("value", "update"),
    [
        ((MODEL, 5), Update(MODEL, 5)),
        ([MODEL, 5], Update(MODEL, 5)),
        ((MODEL, 5, {"loss": 0.1}), Update(MODEL, 5, local_metrics={"loss": 0.1})),
        (Update(MODEL, 3, kind="diff", metrics={"a": 1.0}), Update(MODEL, 3, kind="diff", metrics={"a": 1.0})),
    ],
)
def test_short_forms_mean_an_update(tmp_path: Path, value: object, update: Update) -> None:
    assert FunctionTrainer(Returns(value)).train(MODEL, task(tmp_path)) == update


def test_validate_may_leave_out_the_samples(tmp_path: Path) -> None:
    assert FunctionTrainer(Returns((9, {"auc": 0.5}))).validate(MODEL, task(tmp_path)) == (9, {"auc": 0.5})
    assert FunctionTrainer(Returns({"auc": 0.5})).validate(MODEL, task(tmp_path)) == (1.0, {"auc": 0.5})
    with pytest.raises(BadInput, match="validate returned nothing"):
        FunctionTrainer(Returns(None)).validate(MODEL, task(tmp_path))
    with pytest.raises(BadInput, match="validate returned a float"):
        FunctionTrainer(Returns(0.5)).validate(MODEL, task(tmp_path))


def test_what_a_class_does_not_have_is_not_called() -> None:
    assert FunctionTrainer(Returns(1)).evaluates
    assert not FunctionTrainer(object()).evaluates


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("json", "'json' is not of the form module:name"),
        (":Trainer", "is not of the form"),
        ("no_such:Trainer", "there is no module 'no_such' in the job folder"),
        ("json.no_such:Trainer", "there is no module 'json.no_such' in the job folder"),
        ("json:Trainer", "module 'json' has no 'Trainer'"),
    ],
)
def test_a_class_that_is_not_there(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        build(decode(Options, {"class": text}, "trainer function"), Site("site-1", tmp_path, tmp_path))
