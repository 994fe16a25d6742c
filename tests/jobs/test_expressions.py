"""Python in a configuration: what it may say, and that nothing else gets through, neither when read nor when run."""

from __future__ import annotations

import math
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rondo.base.errors import BadInput
from rondo.jobs.expressions import is_open, parse

PACKAGES = {"np": np, "numpy": np}


def value(text: str, **objects: Any) -> Any:
    return parse(text).value(PACKAGES, objects.__getitem__)


@pytest.mark.parametrize(
    ("text", "given", "result"),
    [
        ("lambda x: (x['pred'], x['label'])", {"pred": 1, "label": 2}, (1, 2)),
        ("lambda x: None", {}, None),
        ("lambda x, y=2: x + y", 3, 5),
        ("lambda x: [i['a'] for i in x if i['a'] > 1]", [{"a": 1}, {"a": 2}], [2]),
        ("lambda x: {k: 1 for k in x}", "ab", {"a": 1, "b": 1}),
        ("lambda x: x[0:2] if not x == 'abc' else -1", "abd", "ab"),
        ("lambda x: np.argmax(x)", np.array([1, 3, 2]), 1),
        ("lambda x: x.real", 4, 4),
    ],
)
def test_lambdas(text: str, given: Any, result: Any) -> None:
    assert value(text)(given) == result


def test_references_are_objects_of_the_configuration() -> None:
    expression = parse("@model.parameters() + [@conf['rate'], '@text']")
    assert expression.references == ("model", "conf")
    model = SimpleNamespace(parameters=lambda: [1])
    assert value("@model.parameters() + [@conf['rate'], '@text']", model=model, conf={"rate": 2}) == [1, 2, "@text"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lambda x: x.__class__", "the attribute '__class__' is not allowed"),
        ("lambda x: x._private", "the attribute '_private' is not allowed"),
        ("lambda x: open('a')", "the name 'open' is not allowed"),
        ("lambda x: len(x)", "the name 'len' is not allowed"),
        ("__import__('os')", "the name '__import__' is not allowed"),
        ("lambda x: _get(x, 'a')", "the name '_get' is not allowed"),
        ("lambda _get: 1", "the name '_get' is not allowed"),
        ("lambda torch: 1", "the name 'torch' is not allowed"),
        ("lambda x: f(__a=1)", "is not allowed"),
        ("(x := 1)", "namedexpr is not allowed"),
        ("9 ** 9 ** 9", "pow is not allowed"),
        ("1 << 99999", "lshift is not allowed"),
        ("f'{1}'", "joinedstr is not allowed"),
        ("lambda x: '{0.__class__}'.format(x)", "the attribute 'format' is not allowed"),
        ("lambda x: x.tofile('a')", "the attribute 'tofile' is not allowed"),
        ("lambda x: (yield)", "yield is not allowed"),
        ("torch.hub.list('a')", "'torch.hub.list' is not allowed"),
        ("torch.os.system('a')", "'torch.os.system' is not allowed"),
        ("np.load('a')", "the attribute 'load' is not allowed"),
        ("np.fromfile('a')", "'numpy.fromfile' is not allowed"),
        ("monai.bundle.run()", "'monai.bundle.run' is not allowed"),
        ("x = 1", "no Python expression"),
        ("", "no Python expression"),
        ("(" * 300, "no Python expression"),
        ("1 +" * 2000 + "1", "more than 4000 characters"),
    ],
)
def test_everything_else_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert says in str(caught.value)


def test_a_module_leads_to_no_other_module() -> None:
    """``monai.data.x.os.system``: that ``x`` is a module with an ``os`` in it is known only when it runs."""
    monai, data, utils = ModuleType("monai"), ModuleType("monai.data"), ModuleType("monai.data.utils")
    monai.data, data.utils, utils.math = data, utils, math  # type: ignore[attr-defined]
    utils.fine = SimpleNamespace(__module__="monai.data.utils", os=math)  # type: ignore[attr-defined]
    utils.alien = math.sqrt  # type: ignore[attr-defined]

    def run(text: str) -> Any:
        return parse(text).value({"monai": monai}, {}.__getitem__)

    assert run("monai.data.utils.fine") is utils.fine
    for text, says in (
        ("monai.data.utils.math.sqrt(4)", "'math' is not allowed"),
        ("monai.data.utils.alien(4)", "'monai.data.utils.alien' is not allowed"),
        ("monai.data.utils.fine.os.sqrt(4)", "'math' is not allowed"),
    ):
        with pytest.raises(BadInput, match=says):
            run(text)


def test_what_a_configuration_may_use() -> None:
    for name in ("monai.networks.nets.unet.UNet", "torch.nn.modules.loss.MSELoss", "ignite.metrics.accuracy.Accuracy"):
        assert is_open(name)
    for name in ("os.system", "torch.hub.load", "monai.bundle.scripts.run", "torch.save", "monai.datasets.X", "torch"):
        assert not is_open(name)
