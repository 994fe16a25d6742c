"""From the name of a component to its class: MONAI's, PyTorch's and ignite's, and those of the MMAR's custom/."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rondo.base.errors import BadInput
from rondo.base.options import nearest
from rondo.jobs.components import Component
from rondo.jobs.expressions import PACKAGES, is_open

_PLACES = {
    "loss": ("monai.losses", "torch.nn"),
    "optimizer": ("monai.optimizers", "torch.optim"),
    "lr_scheduler": ("torch.optim.lr_scheduler", "monai.optimizers"),
    "model": ("monai.networks.nets", "torch.nn"),
    "transform": ("monai.transforms",),
    "dataset": ("monai.data", "torch.utils.data"),
    "dataloader": ("monai.data", "torch.utils.data"),
    "inferer": ("monai.inferers",),
    "handler": ("monai.handlers", "ignite.handlers"),
    "metric": ("monai.handlers", "ignite.metrics"),
    "engine": ("monai.engines",),
}
ANY = tuple(dict.fromkeys(place for places in _PLACES.values() for place in places))
_MAKERS = "monai.networks.nets"  # where functions make models, as classes do elsewhere


def use_custom(folder: Path) -> None:
    """Let Python find the modules of ``folder``, before all others but the libraries' own."""
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def find_class(component: Component, role: str, custom: Path) -> Any:
    """The class (or maker of models) that ``component`` means, looked for where things of its ``role`` are.

    Raises ``BadInput`` at its place for an unknown name and for one that a configuration may not use.
    """
    if component.dotted:
        return _dotted(component, custom)
    for place in (*_PLACES.get(role, ()), *ANY):
        found = getattr(importlib.import_module(place), component.name, None)
        if found is not None and _is_open(found):
            return found
    known = {name for place in _PLACES.get(role, ANY) for name in dir(importlib.import_module(place))}
    what = f"no {role or 'class'} {component.name!r} in monai, torch or ignite"
    raise BadInput(what, where=str(component.place), hint=nearest(component.name, {n for n in known if n[0].isupper()}))


def _dotted(component: Component, custom: Path) -> Any:
    module, _, name = component.name.rpartition(".")
    root, where = module.partition(".")[0], str(component.place)
    own = _is_own(root, custom)
    if not own and root not in PACKAGES.values():
        hint = "a class of monai, torch or ignite, of the MMAR's custom/, or of a folder on the site's PYTHONPATH"
        raise BadInput(f"{component.name!r} may not be used here, or there is none", where=where, hint=hint)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise BadInput(f"there is no module {error.name!r}", where=where) from None
    if found is None:
        raise BadInput(f"module {module!r} has no {name!r}", where=where, hint=nearest(name, _public(module)))
    if not own and not _is_open(found):
        raise BadInput(f"{component.name!r} may not be used by a configuration", where=where)
    return found


def _public(module: str) -> set[str]:
    found: ModuleType = sys.modules[module]
    return {name for name in dir(found) if not name.startswith("_")}


def _is_own(root: str, custom: Path) -> bool:
    """Whether the package ``root`` lies in ``custom``, or where the site itself lets Python look."""
    if root in sys.modules and getattr(sys.modules[root], "__spec__", None) is None:
        return False
    spec = importlib.util.find_spec(root)
    places = [spec.origin] if spec and spec.origin else list(spec.submodule_search_locations or ()) if spec else []
    homes = [custom, *(Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)]
    return any(Path(place).resolve().is_relative_to(home.resolve()) for place in places for home in homes)


def _is_open(found: Any) -> bool:
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    return is_open(home) and (inspect.isclass(found) or (inspect.isfunction(found) and home.startswith(_MAKERS)))
