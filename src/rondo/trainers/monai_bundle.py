"""A MONAI bundle, driven through MONAI's own interface for federated learning (``monai.fl.client.ClientAlgo``).

The bundle is copied into the run's workspace, so what it writes (checkpoints, outputs) stays there and the package as
it came. Each round starts alike whatever was before: the optimizer as it was made, the epoch counted on from the
round. So a killed worker, or another one, trains the same update. The model received is measured first where the
bundle has an evaluation. A bundle's configuration is code: a site's policy treats it so.

Where several processes train, configs/multi_gpu_train says how, as in MONAI's own bundles: it is read over
configs/train, and configs/multi_gpu_evaluate, if there is one, over configs/evaluate.
"""

from __future__ import annotations

import copy
import importlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.jobs.task import Site, Task, Update
from rondo.trainers._team import Team, team_here
from rondo.trainers.seam import Model, named, scalars

RANKS = True  # it may run in several processes that torchrun started
BUNDLE = "bundle"  # folder of the copy in the workspace
MULTI_TRAIN, MULTI_EVALUATE = "configs/multi_gpu_train", "configs/multi_gpu_evaluate"
NETWORKS = ("network_def", "network", "net")  # ids under which bundles keep their network
WORKFLOWS = ("train_workflow", "eval_workflow")


class Options(BaseOptions, frozen=True):
    """``local_epochs``: passes over the site's data in each round. ``train``, ``evaluate``: configuration files,
    read one over the other; where none is named those of every bundle, as far as they are there. ``overrides``:
    values by their id in the configuration, in which ``{data}``, ``{site}`` and ``{workspace}`` stand for what the
    site chose. ``send_weight_diff``: return what training has changed, not the weights.

    ``train_workflow``, ``eval_workflow``: "module:Class" of the job, a ``BundleWorkflow`` of MONAI's kind in the place
    of such files. ``algo``: one that implements MONAI's ``ClientAlgo`` itself. Each is called with ``args``, where
    ``{data}`` and the others stand for the same."""

    local_epochs: int = 1
    train: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    send_weight_diff: bool = False
    train_workflow: str = ""
    eval_workflow: str = ""
    algo: str = ""
    args: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.local_epochs < 1:
            raise ValueError(f"local_epochs must be 1 or more, is {self.local_epochs}")


class BundleTrainer:
    """See the module. One ``ClientAlgo`` for all rounds of this worker."""

    def __init__(self, options: Options, site: Site) -> None:
        self._torch, self._team = importlib.import_module("torch"), team_here()
        self._fl = importlib.import_module("monai.fl.utils.exchange_object")
        constants = importlib.import_module("monai.fl.utils.constants")
        self._diff = constants.WeightType.WEIGHT_DIFF
        self._executed = constants.FlStatistics.NUM_EXECUTED_ITERATIONS
        self._epochs = options.local_epochs
        root = _copy(site, self._team.rank)
        given = _filled(options.args, site)
        self._algo = (
            named(options.algo, "algo")(**given) if options.algo else _monai_algo(options, site, root, self._team)
        )
        extra = constants.ExtraItems
        self._algo.initialize({extra.CLIENT_NAME: site.name, extra.APP_ROOT: str(root)})
        client = importlib.import_module("monai.fl.client")
        self._engines = isinstance(self._algo, client.MonaiAlgo)  # another one has nothing but the methods
        self._trainer: Any = self._algo.trainer if self._engines else None
        self._evaluator: Any = self._algo.evaluator if self._engines else None
        if self._trainer is not None:
            _see_they_train_together(self._trainer, self._team)
        self._fresh = copy.deepcopy(self._trainer.optimizer.state_dict()) if self._trainer is not None else None
        overridden = type(self._algo).evaluate is not client.ClientAlgo.evaluate
        self.evaluates = self._evaluator is not None if self._engines else overridden

    def train(self, model: Model, task: Task) -> Update:
        if self._engines and self._trainer is None:
            raise BadInput("has no training", where="bundle", hint="configs/train.json would say how it trains")
        weights = self._weights(model, self._trainer)
        if self._trainer is not None:
            self._begin_anew(task)
        self._determined(task)
        self._algo.train(self._fl.ExchangeObject(weights=weights), {})
        result = self._algo.get_weights({})
        if not result.weights:
            raise BadInput("returned no weights", where="bundle")
        # Of an engine: each process does its own, on other cases.
        steps = self._iterations(result) * (self._team.size if self._engines else 1)
        # Copies: on a CPU the weights are those of the network that goes on being trained.
        tensors = {name: _array(value, self._torch) for name, value in result.weights.items()}
        return Update(
            tensors, samples=self._count(self._trainer) or steps or 1.0,
            kind="diff" if result.weight_type == self._diff else "weights",
            local_metrics=scalars(self._trainer.state.metrics) if self._trainer is not None else {}, steps=steps,
        )  # fmt: skip

    def validate(self, model: Model, task: Task) -> tuple[float, Mapping[str, float]]:
        weights = self._weights(model, self._evaluator)
        self._determined(task)
        measured = self._algo.evaluate(self._fl.ExchangeObject(weights=weights), {})
        return self._count(self._evaluator) or self._iterations(measured) or 1.0, scalars(measured.metrics or {})

    def _begin_anew(self, task: Task) -> None:
        """As if this were the first round of a worker that has counted the epochs before it."""
        trainer = self._trainer
        trainer.optimizer.load_state_dict(copy.deepcopy(self._fresh))
        trainer.state.epoch = task.round * self._epochs
        trainer.state.iteration = 0
        transform: Any = getattr(getattr(trainer.data_loader, "dataset", None), "transform", None)
        if hasattr(transform, "set_random_state"):
            transform.set_random_state(seed=(task.seed + self._team.rank) % 2**32)

    def _determined(self, task: Task) -> None:
        importlib.import_module("monai.utils").set_determinism((task.seed + self._team.rank) % 2**32)

    def _weights(self, model: Model, engine: Any) -> dict[str, Any]:
        """Tensors of our own: the algorithm may keep them, and change them. Raises ``BadInput`` where they do not fit
        the engine's network, if it has one."""
        state_of: Any = importlib.import_module("monai.networks.utils").get_state_dict
        own: Mapping[str, Any] = state_of(engine.network) if engine is not None else {}
        weights = {}
        for name in model:
            tensor = self._torch.from_numpy(np.array(model[name], order="C"))
            like = own.get(name)
            bits = like is not None and like.dtype == self._torch.bfloat16 and tensor.dtype == self._torch.uint16
            weights[name] = tensor.view(self._torch.bfloat16) if bits else tensor
        if engine is not None:
            _see_it_fits(own, weights)
        return weights

    def _iterations(self, result: Any) -> float:
        """That the algorithm has done for ``result``, as it says itself; 0 where it does not."""
        statistics = {str(key): value for key, value in (result.statistics or {}).items()}
        return float(statistics.get(str(self._executed), 0.0))

    @staticmethod
    def _count(engine: Any) -> float:
        """Cases that an engine looks at; 0 where nobody knows."""
        dataset: Any = getattr(getattr(engine, "data_loader", None), "dataset", None)
        return float(len(dataset)) if hasattr(dataset, "__len__") else 0.0


def _see_they_train_together(trainer: Any, team: Team) -> None:
    """Raises ``BadInput`` where each of several processes would train a network of its own."""
    parallel = importlib.import_module("torch.nn.parallel").DistributedDataParallel
    if team.size > 1 and not isinstance(trainer.network, parallel):
        hint = f"{MULTI_TRAIN}.json would put it into DistributedDataParallel; or start it with one process"
        raise BadInput("does not say how several processes train its network", where="bundle", hint=hint)


def _monai_algo(options: Options, site: Site, root: Path, team: Team) -> Any:
    several = team.size > 1
    trains = ("configs/train", *((MULTI_TRAIN,) if several else ()))
    evaluates = ("configs/evaluate", *((MULTI_EVALUATE,) if several else ()))
    by = {key: _workflow(key, options, site) for key in WORKFLOWS}
    train = [] if by["train_workflow"] else list(options.train) or _there(root, trains)
    evaluate = [] if by["eval_workflow"] else list(options.evaluate) or _there(root, evaluates)
    if evaluate and not options.evaluate:
        evaluate = [*_there(root, ("configs/train",)), *evaluate]
    if not (train or evaluate or any(by.values())):
        raise BadInput("has neither configs/train nor configs/evaluate", where="bundle")
    chosen = _filled(options.overrides, site)
    if site.data is not None:
        chosen = {"dataset_dir": str(site.data), **chosen}
    return _algo_class()(
        bundle_root=".",
        local_epochs=options.local_epochs,
        send_weight_diff=options.send_weight_diff,
        config_train_filename=train or None,
        train_kwargs=dict(chosen),
        config_evaluate_filename=evaluate or None,
        eval_kwargs=dict(chosen),
        eval_workflow_name="train" if train else "infer",
        **by,
    )


def _workflow(key: str, options: Options, site: Site | None) -> Any:
    """The job's own workflow under this option, told of the site's data; None where there is none."""
    name = getattr(options, key)
    if not name:
        return None
    made = named(name, key)(**(options.args if site is None else _filled(options.args, site)))
    if site is not None and site.data is not None:
        made.dataset_dir = str(site.data)
    return made


def _algo_class() -> Any:
    """MONAI's, which on a machine without GPUs leaves them alone also where several processes train together."""
    found: Any = importlib.import_module("monai.fl.client").MonaiAlgo
    if importlib.import_module("torch").cuda.is_available():
        return found
    return type("MonaiAlgo", (found,), {"_set_cuda_device": lambda self: None})


def _copy(site: Site, rank: int) -> Path:
    """The bundle, as it came, in a folder where it may write; each process that trains together has its own."""
    root = site.workspace / (f"{BUNDLE}_{rank}" if rank else BUNDLE)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(site.code, root, symlinks=True)
    return root


def _there(root: Path, stems: Sequence[str]) -> list[str]:
    """The configuration files of these names that the bundle has."""
    found = (f"{stem}{end}" for stem in stems for end in (".json", ".yaml", ".yml"))
    return [name for name in found if (root / name).is_file()]


def _filled(value: Any, site: Site) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(item, site) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, site) for item in value]
    if isinstance(value, str):
        known = {"data": site.data or "", "site": site.name, "workspace": site.workspace}
        for name, one in known.items():
            value = value.replace(f"{{{name}}}", str(one))
    return value


def _see_it_fits(own: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """MONAI takes what fits and says nothing of the rest. Raises ``BadInput`` for a tensor that has no place."""
    hint = "server and client need one network"
    for name in sorted({*own} ^ {*weights}):
        which = "the bundle's network has" if name in weights else "the model received has"  # the other one does
        raise BadInput(f"{which} no tensor {name!r}", where="bundle", hint=hint)
    for name, tensor in weights.items():
        if tensor.shape != own[name].shape:
            text = f"{name!r} is {tuple(own[name].shape)} in the bundle's network, {tuple(tensor.shape)} in the model"
            raise BadInput(text, where="bundle", hint=hint)


def _array(value: Any, torch: Any) -> Any:
    return value.detach().cpu().clone() if torch.is_tensor(value) else np.array(value)


def build(options: Options, site: Site) -> BundleTrainer:
    """Raises ``BadInput`` where the folder is no bundle; whatever its configuration raises."""
    return BundleTrainer(options, site)


def first_model(options: Options, code: Path) -> Any:
    """The network of the bundle's training, or of its evaluation, made without any data.

    Raises ``BadInput`` where the configuration has none under a name that bundles use, whatever a workflow raises.
    """
    for workflow in (_workflow(key, options, None) for key in WORKFLOWS if getattr(options, key)):
        workflow.initialize()
        return workflow.network_def
    parser = importlib.import_module("monai.bundle").ConfigParser()
    files = [*options.train, *options.evaluate] or _there(code, ("configs/train", "configs/evaluate"))
    if not files:
        raise BadInput("has neither configs/train nor configs/evaluate", where="bundle")
    parser.read_config([str(code / name) for name in files])
    meta = code / "configs" / "metadata.json"
    parser.read_meta([str(meta)] if meta.is_file() else {})
    for key in NETWORKS:
        if key in parser:
            return parser.get_parsed_content(key)
    hint = 'name a file under [model] in job.toml, such as "models/model.pt"'
    raise BadInput(f"no network under {', '.join(NETWORKS)}", where=files[0], hint=hint)
