"""What a training or validation config describes, made: MONAI's objects, wired as Clara wired them.

Theory of operation. A config has sections (``train``, ``validate``; a validation config is one section itself). An
object is made when somebody asks for it, and once: the trainer asks for its network, its handlers, the handlers for
the evaluator, and so on. In the dialect of 4.1 a component says with ``@name`` what it is wired to; in that of 4.0,
and wherever nothing is said, it is wired to what it needs (``_implied``).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs.components import Code, Component, Variables, unresolved
from rondo.jobs.mmar import CUSTOM, Mmar
from rondo.trainers._mmar_batches import seeing_batches
from rondo.trainers._mmar_classes import find_class
from rondo.trainers._mmar_old import renamed, translated
from rondo.trainers._mmar_sections import Sections, Tell
from rondo.trainers._team import ALONE, Team

Implied = Mapping[str, Callable[[], Any]]

ROLES = {
    "loss": "loss", "optimizer": "optimizer", "lr_scheduler": "lr_scheduler", "model": "model", "dataset": "dataset",
    "dataloader": "dataloader", "inferer": "inferer", "trainer": "engine", "evaluator": "engine",
}  # fmt: skip
LISTS = {"pre_transforms": "transform", "post_transforms": "transform", "handlers": "handler"}
METRICS = ("metrics", "key_metric", "additional_metrics")
_ALWAYS = ("conf", "device")  # what ``@name`` means in every config
_BATCHES = ("output_transform", "batch_transform")


class Wiring:
    """The objects of the config ``name`` of ``mmar``, in one process of ``team``. ``tell`` gets what was translated or
    left out, and where."""

    def __init__(self, mmar: Mmar, name: str, device: Any, tell: Tell, team: Team = ALONE) -> None:
        self.sections = Sections(mmar, name, tell, team)
        self.device = device
        self._custom = mmar.folder / CUSTOM
        self._made: dict[tuple[str, str], Any] = {}
        self._making: list[tuple[str, str]] = []

    @property
    def variables(self) -> Variables:
        """The config's."""
        return self.sections.reading.variables

    def get(self, section: str, key: str) -> Any:
        """The object under ``key``, made when it is first asked for; None where the section has none.

        Raises ``BadInput`` at file, line and column.
        """
        place = (section, key)
        if place in self._made:
            return self._made[place]
        if place in self._making:
            circle = " -> ".join(name for _, name in [*self._making, place])
            raise BadInput(f"objects that need each other: {circle}", where=str(self.sections.root.place))
        if self.sections.node(section, key) is None:
            return None
        self._making.append(place)
        try:
            self._made[place] = self._make_key(section, key)
        finally:
            self._making.pop()
        return self._made[place]

    def use(self, section: str, key: str, made: Any) -> None:
        """Take ``made`` for the object under ``key``, whatever stands there."""
        self._made[section, key] = made

    def need(self, section: str, key: str) -> Any:
        """The object under ``key`` of this section, else of the other. Raises ``BadInput`` where there is none."""
        found = self.get(self.sections.home(section, key), key)
        if found is None:
            raise BadInput(f"{key} is missing", where=str(self.sections.root.place))
        return found

    def _make_key(self, section: str, key: str) -> Any:
        if key in METRICS:
            return self.metrics(section, key)
        if key in LISTS:
            made = [self.make(one, LISTS[key], section) for one in self.sections.listed(section, key)]
            return importlib.import_module("monai.transforms").Compose(made) if "transform" in key else made
        single = self.sections.single(section, key)
        return None if single is None else self.make(single, ROLES.get(key, ""), section, key)

    def make_loader(self, section: str) -> Any:
        """A new data loader to train with, over the section's data set: it draws its order from the chance there is
        now. Where several processes train they have parts of one length."""
        home = self.sections.home(section, "dataloader")
        made = self.sections.single(home, "dataloader")
        if made is None:
            raise BadInput("dataloader is missing", where=str(self.sections.root.place))
        cls, values = self._with_values(made, "dataloader", home, "dataloader")
        return self._made_of(made, cls, self._parted(made, values, even=True))

    # ---- one component

    def make(self, component: Component, role: str, section: str, key: str = "") -> Any:
        """The object. Raises ``BadInput`` at its place, also for what its own class raises."""
        made, values = self._with_values(component, role, section, key)
        if role == "dataloader":
            values = self._parted(component, values, even=False)
        return self._made_of(component, made, values)

    def _with_values(self, component: Component, role: str, section: str, key: str) -> tuple[Any, dict[str, Any]]:
        made, args = self.prepared(component, role, section, key)
        return made, {name: _now(value) for name, value in args.items()}

    def _parted(self, component: Component, values: dict[str, Any], even: bool) -> dict[str, Any]:
        """A data loader's arguments for this process's part of the data."""
        team = self.sections.team
        if team.size == 1:
            return values
        own = values.get("sampler") is not None or values.get("batch_sampler") is not None
        shuffle = values.get("shuffle") is True
        part = None if own else team.part(values.get("dataset"), shuffle=shuffle, even=even)
        if part is None:
            self._told(f"{component.short}: its data is not shared out, each process sees all of it", component)
            return values
        return {**values, "sampler": part, "shuffle": False}

    def _made_of(self, component: Component, made: Any, values: Mapping[str, Any]) -> Any:
        try:
            return made(**values)
        except BadInput:
            raise
        except Exception as error:
            what = f"{component.short}: {type(error).__name__}: {error}"
            raise BadInput(what, where=str(component.place)) from error

    def prepared(self, component: Component, role: str, section: str, key: str = "") -> tuple[Any, dict[str, Any]]:
        """The class and its arguments, those that are other objects not made yet (``partial``).

        Raises ``BadInput`` for an unknown class, a variable that is missing, or arguments that it does not take.
        """
        component = renamed(component, self._told)
        made = find_class(component, role, self._custom)
        for missing in unresolved(component.args):
            hint = "define it in config/environment.json, or with --set"
            raise BadInput(f"{{{missing.name}}} is not defined", where=str(missing.place), hint=hint)
        args = translated(made, component, dict(component.args), self._told)
        known = _parameters(made)
        args = {name: self._argument(name, value, section) for name, value in args.items()}
        for name, value in self._implied(component, role, section, key).items():
            given = args.get(name)
            if (name in known and given is None) or (isinstance(given, list) and name in ("save_dict", "load_dict")):
                args[name] = partial(value)
        _bind(made, component, args)
        return made, args

    def _told(self, what: str, component: Component) -> None:
        self.sections.tell(what, component.place)

    def _argument(self, name: str, value: Any, section: str) -> Any:
        """An argument: components and Python become ``partial``, lists and tables of them, too."""
        match value:
            case Component():
                return partial(self.make, value, "", section)
            case Code():
                return partial(self._evaluated, value, name, section)
            case list() if any(isinstance(one, Component | Code) for one in value):
                return partial(self._all, value, name, section)
            case dict() if any(isinstance(one, Component | Code) for one in value.values()):
                return partial(self._each, value, name, section)
        return value

    def _all(self, values: list[Any], name: str, section: str) -> list[Any]:
        return [_now(self._argument(name, one, section)) for one in values]

    def _each(self, values: dict[str, Any], name: str, section: str) -> dict[str, Any]:
        return {key: _now(self._argument(name, one, section)) for key, one in values.items()}

    def see_references(self, code: Code, section: str) -> None:
        """Raises ``BadInput`` where an ``@name`` in it names nothing."""
        for name in code.expression.references:
            if name not in _ALWAYS and self.sections.node(self.sections.home(section, name), name) is None:
                raise BadInput(f"@{name}: there is nothing of that name", where=str(code.place))

    def _evaluated(self, code: Code, name: str, section: str) -> Any:
        packages = {key: importlib.import_module(key) for key in ("monai", "torch", "ignite")}
        numpy = importlib.import_module("numpy")
        importlib.import_module("monai.handlers")
        self.see_references(code, section)
        try:
            value = code.expression.value({**packages, "np": numpy, "numpy": numpy}, partial(self._referenced, section))
        except BadInput as error:
            raise BadInput(error.what, where=error.where or str(code.place), hint=error.hint) from None
        except Exception as error:
            raise BadInput(f"{type(error).__name__}: {error}", where=str(code.place)) from error
        as_in_clara = name in _BATCHES and not self.sections.reading.explicit
        return seeing_batches(value) if as_in_clara and callable(value) else value

    def _referenced(self, section: str, name: str) -> Any:
        """What ``@name`` means: an object of this section or the other one, ``@device``, or ``@conf``."""
        if name == "conf":
            return self.sections.root.plain()
        if name == "device":
            return self.device
        home = self.sections.home(section, name)
        node = self.sections.node(home, name)
        if node is not None and not isinstance(node.value, dict | list):
            return self.sections.reading.value(node)
        return self.get(home, name)

    # ---- metrics

    def metrics(self, section: str, key: str = "metrics") -> dict[str, Any]:
        """New metrics by their labels, the key metric first."""
        listed = self.sections.listed(section, key)
        listed.sort(key=lambda one: one.beside.get("is_key_metric") is not True)
        return {str(one.beside.get("log_label") or one.short): self.make(one, "metric", section) for one in listed}

    # ---- what goes without saying

    def _implied(self, component: Component, role: str, section: str, key: str) -> Implied:
        """Arguments that a component of this role gets where the config gives none."""
        match role:
            case "optimizer":
                return {"params": lambda: self.need(section, "model").parameters()}
            case "lr_scheduler":
                return {"optimizer": lambda: self.need(section, "optimizer")}
            case "dataset":
                return {
                    "data": partial(self._cases, component),
                    "transform": lambda: self.get(self.sections.home(section, "pre_transforms"), "pre_transforms"),
                }
            case "dataloader":
                return {"dataset": lambda: self.need(section, "dataset")}
            case "handler":
                return self._implied_of_handler(component, section)
            case "engine":
                return self._implied_of_engine(section, training=key == "trainer")
        return {}

    def _implied_of_handler(self, component: Component, section: str) -> Implied:
        logs = Path.cwd() / "tensorboard"
        names = component.args.get("save_dict") or component.args.get("load_dict")
        return {
            "validator": lambda: self.need("validate", "evaluator"),
            "lr_scheduler": lambda: self.need("train", "lr_scheduler"),
            "save_dict": partial(self._by_name, names if isinstance(names, list) else ["model"]),
            "save_dir": lambda: str(self.sections.mmar.folder / "models"),
            "log_dir": lambda: str(logs),
        }

    def _by_name(self, names: list[str]) -> dict[str, Any]:
        found = {name: self.get(self.sections.home("train", name), name) for name in names}
        return {name: made for name, made in found.items() if made is not None}

    def _implied_of_engine(self, section: str, training: bool) -> Implied:
        """What MONAI's engines are made of."""
        way = "train" if training else "val"
        implied: dict[str, Callable[[], Any]] = {
            "device": lambda: self.device,
            f"{way}_data_loader": lambda: self.need(section, "dataloader"),
            "network": lambda: self.need(section, "model"),
            "inferer": lambda: self.get(section, "inferer"),
            "postprocessing": lambda: self.get(section, "post_transforms"),
            f"{way}_handlers": lambda: self.get(section, "handlers"),
            f"key_{way}_metric": lambda: self.key_metric(section),
            "additional_metrics": lambda: self._more_metrics(section),
            "amp": lambda: self.variables.get("amp", False) is True and self.device.type == "cuda",
        }
        if training:
            implied |= {
                "optimizer": lambda: self.need(section, "optimizer"),
                "loss_function": lambda: self.need(section, "loss"),
                "max_epochs": lambda: 1,
            }
        return implied

    def key_metric(self, section: str) -> dict[str, Any] | None:
        """The key metric by its label: ``key_metric``, else the first of ``metrics``."""
        found = self.get(section, "key_metric") or self.get(section, "metrics")
        return dict([next(iter(found.items()))]) if found else None

    def _more_metrics(self, section: str) -> dict[str, Any] | None:
        found = {**(self.get(section, "metrics") or {}), **(self.get(section, "additional_metrics") or {})}
        key = self.key_metric(section) or {}
        return {label: metric for label, metric in found.items() if label not in key} or None

    def _cases(self, dataset: Component) -> list[dict[str, Any]]:
        """The data list that stands beside a dataset."""
        beside = dataset.beside
        for missing in unresolved(dict(beside)):
            raise BadInput(f"{{{missing.name}}} is not defined", where=str(missing.place))
        path = self.sections.mmar.folder / str(beside.get("data_list_file_path", ""))
        if not path.is_file():
            raise BadInput(f"no data list {str(path)!r} at this site", where=str(dataset.place))
        base = self.sections.mmar.folder / str(beside.get("data_file_base_dir") or path.parent)
        segmentation = self.sections.mmar.setting("PROCESSING_TASK", "segmentation") != "classification"
        load = importlib.import_module("monai.data").load_decathlon_datalist
        try:
            cases: list[dict[str, Any]] = load(path, segmentation, str(beside.get("data_list_key", "training")), base)
        except ValueError as error:
            raise BadInput(str(error), where=str(dataset.place)) from None
        return cases


def _now(value: Any) -> Any:
    return value() if isinstance(value, partial) else value


def _parameters(made: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(made).parameters


def _bind(made: Any, component: Component, args: Mapping[str, Any]) -> None:
    """Raises ``BadInput`` where ``made`` does not take these arguments, at the one that it does not take."""
    known = _parameters(made)
    open_end = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    for name in component.args:
        if name in args and name not in known and not open_end:
            where = str(component.places.get(name, component.place))
            raise BadInput(
                f"{component.short} has no argument {name!r}", where=where, hint=f"it takes {', '.join(known)}"
            )
    try:
        inspect.signature(made).bind(**args)
    except TypeError as error:
        raise BadInput(f"{component.short}: {error}", where=str(component.place)) from None
