"""Names that MONAI has changed since Clara's day: each is translated, and whoever wrote it is told old and new."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rondo.jobs.components import Component

Tell = Callable[[str, Component], None]

# Arguments that only got another name. Where a class still takes the old one nothing is done.
_RENAMED = {
    "dimensions": "spatial_dims",
    "n_classes": "num_classes",
    "post_transform": "postprocessing",
    "logit_thresh": "threshold",
    "nb_classes": "num_classes",
    "in_channel": "in_channels",
    "out_channel": "out_channels",
}
_LOADERS = {"LoadNiftid": "LoadImaged", "LoadNifti": "LoadImage", "LoadPNGd": "LoadImaged", "LoadPNG": "LoadImage"}
_FIRST = {"AsChannelFirst": None, "AddChannel": "no_channel"}


def renamed(component: Component, tell: Tell) -> Component:
    """The component under the name that its class has today."""
    name = component.short
    for old, channel in _FIRST.items():
        if name in (old, f"{old}d", f"{old}D", f"{old}Dict") and not component.dotted:
            new = "EnsureChannelFirst" + name[len(old) :]
            tell(f"{name} is {new} in today's MONAI", component)
            args = {key: value for key, value in component.args.items() if key != "channel_dim"}
            given = component.args.get("channel_dim", -1 if channel is None else channel)
            return replace(component, name=new, args={**args, "channel_dim": given})
    if name in _LOADERS and not component.dotted:
        tell(f"{name} is {_LOADERS[name]} in today's MONAI", component)
        return replace(component, name=_LOADERS[name])
    return component


def translated(made: Any, component: Component, args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """``args`` as the class ``made`` takes them today."""
    known = inspect.signature(made).parameters
    if "to_onehot" in known and component.short.startswith("AsDiscrete"):
        args = _discrete(component, args, tell)
    for old, new in _RENAMED.items():
        if old in args and old not in known and new in known and new not in args:
            tell(f"{component.short}: {old} is {new} in today's MONAI", component)
            args = {new if name == old else name: value for name, value in args.items()}
    return args


def _discrete(component: Component, args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """``to_onehot=True, n_classes=2`` is ``to_onehot=2``; ``threshold_values=True`` is ``threshold=0.5``."""
    args = dict(args)
    classes = args.pop("n_classes", None) if "n_classes" in args else args.pop("num_classes", None)
    if classes is not None or _has_bool(args.get("to_onehot")):
        tell(f"{component.short}: to_onehot is the number of classes in today's MONAI, n_classes is gone", component)
        args["to_onehot"] = _each(args.get("to_onehot"), lambda on, many: many if on is True else None, classes)
    if "threshold_values" in args:
        limit = args.pop("logit_thresh", 0.5)
        tell(f"{component.short}: threshold_values and logit_thresh are threshold in today's MONAI", component)
        args["threshold"] = _each(args.pop("threshold_values"), lambda on, many: many if on is True else None, limit)
    return args


def _has_bool(value: Any) -> bool:
    return any(isinstance(one, bool) for one in (value if isinstance(value, list) else [value]))


def _each(on: Any, made: Callable[[Any, Any], Any], other: Any) -> Any:
    """``made`` of ``on`` and ``other``; where one is a list (one entry a key), a list."""
    if not isinstance(on, list):
        return [made(on, one) for one in other] if isinstance(other, list) else made(on, other)
    others = other if isinstance(other, list) else [other] * len(on)
    return [made(one, that) for one, that in zip(on, others, strict=True)]
