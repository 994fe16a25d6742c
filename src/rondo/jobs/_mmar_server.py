"""config_fed_server.json as ours: rounds and clients, the aggregator, the model and how the best one is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from rondo.base.errors import BadInput
from rondo.base.options import decode, nearest
from rondo.jobs._mmar_files import CLIENT, SERVER, TRAIN, Mmar
from rondo.jobs._mmar_filters import known_as, passing, refused, see_args, see_regex
from rondo.jobs._mmar_own import needs_own_worker
from rondo.jobs.components import Component, Reading, unresolved
from rondo.jobs.parts import LATEST, ModelPart, ServerPart
from rondo.jobs.placed import Placed

_TOP = (
    "format_version", "servers", "aggregator", "outbound_filters", "inbound_filters", "model_persistor", "persistor",
    "shareable_generator", "handlers",
)  # fmt: skip
_SERVER = {
    "min_num_clients": "min_clients",
    "max_num_clients": "max_clients",
    "wait_after_min_clients": "wait_after_min_clients",
    "start_round": "start_round",
    "num_rounds": "num_rounds",
}
_OF_THE_KIT = (
    "name", "service", "ssl_private_key", "ssl_cert", "ssl_root_cert", "admin_host", "admin_port", "admin_storage",
    "num_server_workers", "compression", "heart_beat_timeout", "secure_train", "config_validator",
)  # fmt: skip
_OF_OLD = ("exclude_vars", "validate_on_server", "num_rounds_per_valid")
_WEIGHTED = ("AccumulateWeightedAggregator", "InTimeAccumulateWeightedAggregator")
OWN_METRIC = "initial_metrics"
_SELECTOR = "IntimeModelSelectionHandler"
_SAVED = {
    "global_model_file_name": "FL_global_model.pt",
    "best_global_model_file_name": "best_FL_global_model.pt",
}


def server_name(mmar: Mmar) -> str:
    """The task's name, in letters that a job's name may have; "mmar" where there is none."""
    node = _first(mmar).get("name")
    name = node.value if node is not None and isinstance(node.value, str) else ""
    if not name:
        mmar.findings.warn("servers[0] has no name: the job is called mmar", mmar.place(SERVER, "servers"))
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    return kept.lstrip("._-")[:128] or "mmar"


def server_part(mmar: Mmar) -> ServerPart:
    """Rounds are absolute, as in Clara. Raises ``BadInput`` at the key that is wrong."""
    root = mmar.files[SERVER]
    for key, node in root.table.items():
        if key not in _TOP:
            mmar.findings.warn(f"{key!r} is no key of this file: left out", node.place, nearest(key, _TOP))
    reading = mmar.reading(SERVER)
    values = _rounds(mmar, reading) | {"weigh_by": "steps", "final_validation": not _trains_itself(mmar)}
    values |= _aggregator(root, reading)
    passing(reading.components(root.get("inbound_filters")), mmar.findings)
    for one in passing(reading.components(root.get("outbound_filters")), mmar.findings):
        if known_as(one) == "ExcludeVars":
            mmar.findings.error(
                "ExcludeVars among the server's outbound_filters: every site is sent the whole model",
                one.place,
                "exclude_vars of the aggregator, or a client's outbound_filters, keep tensors as they are",
            )
    values |= _handlers(mmar, reading.components(root.get("handlers")))
    _generator(root, reading)
    values |= _seed(mmar) | {"own_parts": needs_own_worker(mmar)}
    return decode(ServerPart, values, mmar.place(SERVER, "servers"))


def _first(mmar: Mmar) -> Mapping[str, Placed]:
    servers = mmar.files[SERVER].get("servers")
    if servers is None or not servers.items:
        raise BadInput("servers is missing", where=SERVER, hint='"servers": [{"num_rounds": 10, ...}]')
    if len(servers.items) > 1:
        mmar.findings.warn(f"{len(servers.items)} servers: the first one is taken", servers.place)
    return servers.items[0].table


def _rounds(mmar: Mmar, reading: Reading) -> dict[str, Any]:
    values: dict[str, Any] = {}
    table = _first(mmar)
    for key, node in table.items():
        if key in _SERVER:
            value = reading.value(node)
            for missing in unresolved(value):
                raise BadInput(f"{{{missing.name}}} is not defined", where=str(node.place))
            wanted = (int, float) if key == "wait_after_min_clients" else int
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise BadInput(f"{key} must be a number, is {value!r}", where=str(node.place))
            values[_SERVER[key]] = value
        elif key in _OF_OLD:
            mmar.findings.warn(f"{key!r} is of Clara 3.1: left out", node.place)
        elif key not in _OF_THE_KIT:
            mmar.findings.warn(f"{key!r} is no key of a server: left out", node.place, nearest(key, _SERVER))
    if "num_rounds" not in values:
        where = mmar.place(SERVER, "servers")
        raise BadInput("num_rounds is missing", where=where, hint="the run ends before the round of this number")
    return values


def _component(root: Placed, reading: Reading, *keys: str) -> Component:
    node = next((found for key in keys if (found := root.get(key)) is not None), None)
    if node is None:
        raise BadInput(f"{keys[0]} is missing", where=SERVER)
    made = reading.component(node)
    if made is None:
        reading.findings.raise_first()
    assert made is not None
    return made


def _aggregator(root: Placed, reading: Reading) -> dict[str, Any]:
    made = _component(root, reading, "aggregator")
    if not known_as(made):
        return {}
    if known_as(made) not in _WEIGHTED:
        raise refused(made, "aggregator", dict.fromkeys(_WEIGHTED))
    kinds: dict[str, Any] = {
        "exclude_vars": str, "aggregation_weights": dict, "literal": bool, "expected_data_kind": str,
    }  # fmt: skip
    args = see_args(made, kinds)
    if args.get("expected_data_kind", "WEIGHT_DIFF") not in ("WEIGHT_DIFF", "WEIGHTS"):
        raise BadInput("expected_data_kind is WEIGHT_DIFF or WEIGHTS", where=str(made.places["expected_data_kind"]))
    values: dict[str, Any] = {}
    if "exclude_vars" in args:
        see_regex(args["exclude_vars"], made)
        values["exclude_vars"] = args["exclude_vars"]
    if args.get("aggregation_weights"):
        values["aggregation_weights"] = _weights(made, args["aggregation_weights"])
        values["weights_scale"] = args.get("literal", False)
        if not args.get("literal"):
            reading.findings.warn(
                "aggregation_weights share out the mean: Clara's also made all of it larger or smaller",
                made.places["aggregation_weights"],
                '"literal": true in its args for Clara\'s',
            )
    return values


def _weights(made: Component, weights: Mapping[str, Any]) -> dict[str, float]:
    for site, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            where = str(made.places["aggregation_weights"])
            raise BadInput(f"aggregation_weights: the weight of {site} must be a number, is {weight!r}", where=where)
    return {site: float(weight) for site, weight in weights.items()}


def _generator(root: Placed, reading: Reading) -> None:
    made = _component(root, reading, "shareable_generator")
    if not known_as(made):
        return
    if known_as(made) != "FullModelShareableGenerator":
        raise refused(made, "shareable_generator", {"FullModelShareableGenerator": None})
    see_args(made, {})


def _handlers(mmar: Mmar, handlers: list[Component]) -> dict[str, Any]:
    """What is chosen by handlers; those of the MMAR's own are run elsewhere."""
    values: dict[str, Any] = {}
    for one in handlers:
        match known_as(one):
            case "IntimeModelSelectionHandler":
                values = _selection(mmar, one)
            case "FLContextInfoHandler":
                mmar.findings.warn("FLContextInfoHandler: the run's events say what it said", one.place)
            case "":  # of one's own
                continue
            case _:
                raise refused(one, "handler", {_SELECTOR: None})
    return values


def _selection(mmar: Mmar, made: Component) -> dict[str, Any]:
    args = see_args(made, {"weigh_by_local_iter": bool, "aggregation_weights": dict})
    if args.get("aggregation_weights"):
        place = made.places["aggregation_weights"]
        mmar.findings.warn("aggregation_weights of the model selection: left out, sites weigh by their cases", place)
    label = OWN_METRIC if _trains_itself(mmar) else key_metric(mmar)
    if not label:
        mmar.findings.warn("no metric of config_train.json is the key metric: no best model is chosen", made.place)
    return {"best_metric": label}


def _trains_itself(mmar: Mmar) -> bool:
    """Whether the trainer is one of its own, which says one number of the model that it received."""
    root = mmar.files.get(CLIENT)
    node = root.get("client_trainer") if root is not None else None
    made = mmar.reading(CLIENT).component(node) if node is not None else None
    return made is not None and not known_as(made)


def key_metric(mmar: Mmar) -> str:
    """The ``log_label`` of the key metric of the ``validate`` section; "" for none."""
    root = mmar.files.get(TRAIN)
    section = root.get("validate") if root is not None else None
    if section is None:
        return ""
    reading = mmar.reading(TRAIN)
    key = section.get("key_metric")
    metrics = reading.components(key if key is None or isinstance(key.value, list) else Placed([key], key.place))
    metrics += [one for one in reading.components(section.get("metrics")) if one.beside.get("is_key_metric") is True]
    return str(metrics[0].beside.get("log_label") or metrics[0].short) if metrics else ""


def _seed(mmar: Mmar) -> dict[str, Any]:
    root = mmar.files.get(TRAIN)
    node = root.get("determinism") if root is not None else None
    seed = node.get("random_seed") if node is not None else None
    return {"seed": str(seed.value)} if seed is not None and isinstance(seed.value, int) else {}


def model_part(mmar: Mmar) -> ModelPart:
    """MMAR_CKPT of environment.json, else the model of the persistor (spec 4.3), which a worker makes.

    A persistor of the MMAR's own decides alone what it loads, and which files it writes.
    """
    made = _component(mmar.files[SERVER], mmar.reading(SERVER), "model_persistor", "persistor")
    if not known_as(made):
        return ModelPart(trainer=True)
    if known_as(made) != "PTFileModelPersistor":
        raise refused(made, "model_persistor", {"PTFileModelPersistor": None})
    kinds: dict[str, Any] = {"exclude_vars": str, "model": Component, "source_ckpt_file_full_name": str}
    args = see_args(made, kinds | dict.fromkeys(_SAVED, str))
    for name, usual in _SAVED.items():
        if args.get(name, usual) != usual:
            mmar.findings.warn(f"{name}: the file is called {usual}", made.places[name])
    if "exclude_vars" in args:
        mmar.findings.warn(
            "exclude_vars of the persistor: left out, models are saved whole", made.places["exclude_vars"]
        )
    conf = mmar.files[SERVER].get("model_persistor") or mmar.files[SERVER].get("persistor")
    network = conf.get("args") if conf is not None else None
    model = network.get("model") if network is not None else None
    told = {"train_conf": {"train": {"model": model.plain()}} if model is not None else {}}
    start = str(args.get("source_ckpt_file_full_name") or mmar.setting("MMAR_CKPT"))
    if start:
        return ModelPart(file=_inside(mmar, start), checkpoints=told)
    if model is None:
        hint = 'give it "args": {"model": {"name": ..., "args": {...}}}, or MMAR_CKPT in config/environment.json'
        raise BadInput("the persistor has no model to begin with", where=str(made.place), hint=hint)
    return ModelPart(trainer=True, checkpoints=told)


def _inside(mmar: Mmar, text: str) -> str:
    """The checkpoint as a path inside the MMAR; what the run itself writes there need not be there yet."""
    path, where = PurePosixPath(text), mmar.place("config/environment.json", "MMAR_CKPT")
    root = mmar.folder.as_posix().rstrip("/") + "/"
    name = text.removeprefix(root) if text.startswith(root) else text
    if PurePosixPath(name).is_absolute() or ".." in path.parts:
        raise BadInput(
            f"MMAR_CKPT is {text!r}, outside of the MMAR", where=where, hint="put the file into the MMAR's models/"
        )
    if path.suffix not in (".pt", ".safetensors"):
        raise BadInput(f"MMAR_CKPT must end in .pt or .safetensors, is {text!r}", where=where)
    if not (mmar.folder / name).is_file() and name not in LATEST:
        raise BadInput(f"MMAR_CKPT names {name!r}, which is not in the MMAR", where=where)
    return name
