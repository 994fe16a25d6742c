"""Clara's ClientTrainer: MONAI's engines as an MMAR's config_train.json describes them.

Each round the model received is measured on the ``validate`` section first (Clara's INITIAL_METRICS), then trained
for ``local_epochs``, or for ``steps_aggregation`` iterations where that is above 0. The difference goes back, weighed
by the iterations done, those of all processes where several train together. Optimizer and scheduler go on from round
to round, also in a new worker. The best local model by the key metric is ``models/local_best_model.pt`` of the MMAR.
In cross-site validation models are measured as the validation config says (Clara's ClientValidator).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.jobs.mmar import CUSTOM, TRAIN, Mmar, participates
from rondo.jobs.task import Site, Task, Update
from rondo.trainers._mmar_best import BestLocal
from rondo.trainers._mmar_check import findings
from rondo.trainers._mmar_classes import use_custom
from rondo.trainers._mmar_first import make_first
from rondo.trainers._mmar_memory import Memory
from rondo.trainers._mmar_own import OwnParts, OwnTrainer
from rondo.trainers._mmar_place import Told, open_at
from rondo.trainers._mmar_sections import VALIDATING
from rondo.trainers._mmar_server import OwnServer
from rondo.trainers._mmar_wiring import METRICS, Wiring
from rondo.trainers._team import reorder, team_here
from rondo.trainers.seam import Model, scalars

RANKS = True  # it may run in several processes that torchrun started


class Options(BaseOptions, frozen=True):
    """``local_epochs``: passes over the site's data in each round. ``steps_aggregation``: iterations in their place.
    ``own``: the MMAR brings components of its own for this client, or filters of what comes in.
    """

    local_epochs: int = 1
    steps_aggregation: int = 0
    own: bool = False

    def __post_init__(self) -> None:
        if self.local_epochs < 1:
            raise ValueError(f"local_epochs must be 1 or more, is {self.local_epochs}")
        if self.steps_aggregation < 0:
            raise ValueError(f"steps_aggregation must be 0 or more, is {self.steps_aggregation}")


class MmarTrainer:
    """See the module. Engines are made once; the data loader anew each round, so that its chance is the round's."""

    def __init__(self, options: Options, site: Site, mmar: Mmar, told: Told, parts: OwnParts | None) -> None:
        self._torch = importlib.import_module("torch")
        importlib.import_module("monai")
        self._options, self._parts, self._team = options, parts, team_here()
        device = self._team.device(mmar.reading(TRAIN).variables.get("use_gpu", True) is not False)
        self._team.meet(device)
        self._wiring = Wiring(mmar, TRAIN, device, told, self._team)
        self._network = self._wiring.need("train", "model").to(self._wiring.device)
        self._trainer = self._wiring.need("train", "trainer")
        self._steps = self._order = 0
        events = importlib.import_module("ignite.engine").Events
        self._trainer.add_event_handler(events.ITERATION_COMPLETED, self._count)
        self._trainer.add_event_handler(events.EPOCH_STARTED, self._begin_epoch)
        if self._team.size > 1:
            self._train_together(events)
        self._first = self._measuring()
        self.evaluates = self._first is not None
        self._validating = self._validator(mmar, told)
        if parts is not None:
            parts.lend(self.measure)
        self._best = BestLocal(self._wiring, self._network, mmar.folder)
        self._memory = Memory(self._wiring, self._trainer, site.workspace)

    def _train_together(self, events: Any) -> None:
        """Evaluators keep the network itself: each process has its own number of cases to measure."""
        wiring = self._wiring
        if not hasattr(self._trainer, "network"):
            engine = type(self._trainer).__name__
            raise BadInput(f"{engine} has no network that several processes could train", where=TRAIN)
        self._trainer.network = self._team.together(self._network, wiring.device)
        if wiring.sections.node("validate", "evaluator") is not None:
            evaluator = wiring.get("validate", "evaluator")
            evaluator.add_event_handler(events.STARTED, lambda: self._team.align(self._network))

    def _measuring(self) -> Any:
        """An evaluator without handlers, for the model received: what it finds is nobody's best model."""
        wiring = self._wiring
        if wiring.sections.node("validate", "evaluator") is None:
            return None
        metrics: dict[str, Any] = {}
        for key in METRICS:
            metrics |= wiring.metrics("validate", key)
        if not metrics:
            return None
        first = next(iter(wiring.key_metric("validate") or metrics))
        return importlib.import_module("monai.engines").SupervisedEvaluator(
            device=wiring.device,
            val_data_loader=wiring.need("validate", "dataloader"),
            network=self._network,
            inferer=wiring.get("validate", "inferer"),
            postprocessing=wiring.get("validate", "post_transforms"),
            key_val_metric={first: metrics.pop(first)},
            additional_metrics=metrics or None,
        )

    def _validator(self, mmar: Mmar, told: Told) -> Any:
        """The evaluator of the validation config (Clara's ClientValidator), over the network that models are put into.

        As Clara's, it does not care what the config says of a model to load.
        """
        name = mmar.validation()
        if not participates(mmar) or not name:
            return None
        wiring = Wiring(replace(mmar, given={**VALIDATING, **mmar.given}), name, self._wiring.device, told, self._team)
        wiring.use("", "model", self._network)
        return wiring.need("", "evaluator")

    def train(self, model: Model, task: Task) -> Update:
        given = model
        if self._parts is not None:
            given = self._parts.received(model, task)
            self._parts.fire(self._parts.events.BEFORE_TRAIN)
        received = self._load(given)
        self._best.metrics = {}
        self._memory.recall(task.round)
        self._seed(task)
        trainer, steps = self._trainer, self._options.steps_aggregation
        trainer.data_loader = self._wiring.make_loader("train")
        trainer.state.epoch_length = steps or len(trainer.data_loader)
        trainer.state.iteration = trainer.state.epoch * trainer.state.epoch_length  # ignite reckons so, too
        trainer.state.max_epochs = trainer.state.epoch + (1 if steps else self._options.local_epochs)
        self._steps, self._order = 0, task.seed
        trainer.run()
        self._memory.keep(task.round)
        update = Update(
            self._differences(received), float(len(trainer.data_loader.dataset)), "diff",
            local_metrics=self._best.metrics, steps=float(self._steps * self._team.size),
        )  # fmt: skip
        return self._parts.filtered(update, model) if self._parts is not None else update

    def _begin_epoch(self) -> None:
        reorder(self._trainer.data_loader, self._order, self._trainer.state.epoch)

    def _count(self) -> None:
        self._steps += 1

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        crossing = task.round > task.rounds  # behind the last round: another's model
        if self._parts is None:
            return self.measure(model, task, crossing)
        if crossing:
            return self._parts.validate(model, task, self.measure)
        return self.measure(self._parts.received(model, task), task, crossing)

    def measure(self, model: Model, task: Task, crossing: bool = True) -> tuple[float, Mapping[str, float]]:
        """Cases looked at, and metrics: as the validation config says where the model is another's, if there is one."""
        evaluator = self._validating if crossing and self._validating is not None else self._first
        if evaluator is None:
            raise BadInput("has no metrics to validate with", where=f"{TRAIN} validate")
        self._load(model)
        self._seed(task)
        evaluator.run()
        return float(len(evaluator.data_loader.dataset)), scalars(evaluator.state.metrics)

    def initial(self, model: Model, task: Task) -> float | None:
        """The key metric of a model that was received; None where nothing is measured."""
        if self._first is None:
            return None
        metrics = self.measure(model, task, crossing=False)[1]
        return metrics.get(self._first.state.key_metric_name)

    def leaves(self, model: Model) -> Mapping[str, Any] | None:
        """What leaves of the site's best model, None for all of it."""
        return self._parts.leaves(model) if self._parts is not None else None

    def _load(self, model: Model) -> dict[str, Any]:
        """Put the model into the network, by matching names. Raises ``BadInput`` where one of them has no place."""
        own, received = self._network.state_dict(), {}
        for name in model:
            if name not in own:
                raise BadInput(f"the network has no {name!r}", where=TRAIN, hint="server and client need one network")
            tensor = self._torch.from_numpy(model[name].copy())
            like = own[name]
            if like.dtype == self._torch.bfloat16:  # carried as its bits
                tensor = tensor.view(self._torch.bfloat16)
            if tensor.shape != like.shape:
                text = f"{name!r} has shape {tuple(tensor.shape)} at the server, {tuple(like.shape)} here"
                raise BadInput(text, where=TRAIN, hint="server and client need one network")
            received[name] = tensor.to(like.device)
        self._network.load_state_dict({**own, **received})
        self._team.align(self._network)  # a filter of the model may draw by chance, in each process otherwise
        return received

    def _differences(self, received: Mapping[str, Any]) -> dict[str, Any]:
        """What training has changed; bools as they are now."""
        now = self._network.state_dict()
        kept = {name: now[name].detach() for name in received}
        boolean = self._torch.bool
        return {
            name: (kept[name] if kept[name].dtype == boolean else kept[name] - before).cpu().clone()
            for name, before in received.items()
        }

    def _seed(self, task: Task) -> None:
        importlib.import_module("monai.utils").set_determinism((task.seed + self._team.rank) % 2**32)
        if self._wiring.sections.node("", "determinism") is None:
            variables = self._wiring.variables
            self._torch.backends.cudnn.deterministic = False
            self._torch.backends.cudnn.benchmark = variables.get("cudnn_benchmark", False) is True


def build(options: Options, site: Site) -> MmarTrainer | OwnTrainer:
    """Raises ``BadInput`` at file, line and column of what cannot be made."""
    team = team_here()
    told = Told(team)
    mmar = open_at(site, told, team=team)
    use_custom(mmar.folder / CUSTOM)
    parts = OwnParts(mmar, site, told, team) if options.own else None
    if parts is None or parts.trainer is None:
        return MmarTrainer(options, site, mmar, told, parts)
    trainer, as_clara = parts.trainer, parts.builds_upon_clara

    def lent_trainer() -> MmarTrainer:
        said = (getattr(trainer, "local_epochs", 1), getattr(trainer, "steps_aggregation", 0)) if as_clara else ()
        return MmarTrainer(Options(*said), site, mmar, told, None)

    lent = _Lent(lent_trainer)
    return OwnTrainer(parts, lent.train, lent.measure, participates(mmar))


class _Lent:
    """Clara's trainer and validator for components that build upon them; made when first asked for."""

    def __init__(self, make: Callable[[], MmarTrainer]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> MmarTrainer:
        return self._make()

    def train(self, model: Model, task: Task) -> tuple[Update, float | None]:
        metric = self._made.initial(model, task)
        return self._made.train(model, task), metric

    def measure(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        return self._made.measure(model, task)


def first_model(options: Options, code: Path) -> Any:
    """The model of the persistor, whose weights the first round starts from.

    Raises ``BadInput`` at its place, or where classification has no sound DATASET_JSON.
    """
    return make_first(code)


def serve(code: Path, rounds: int) -> OwnServer:
    """The server's components of the MMAR's own, for a run whose rounds end before ``rounds``."""
    return OwnServer(code, rounds)


def check(code: Path, given: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong or odd for who knows MONAI's classes; ``given``: variables, as ``--set`` gives them."""
    return [
        {"level": one.level, "what": one.what, "where": one.where, "hint": one.hint} for one in findings(code, given)
    ]
