"""The job as every reader returns it: frozen values that hold only what makes sense.

A reader (native ``job.toml``, MMAR) translates its own form into these. Each part checks
itself, so no reader can let a bad number through; ``rondo.base.options.decode`` adds the place to the sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from rondo.base.options import Options
from rondo.jobs.resources import ResourcesPart

MOST_ROUNDS = 2**31 - 1
MOST_CLIENTS = 1_000_000
MOST_SECONDS = 366 * 24 * 3600.0
MOST_PROCESSES = 64
MOST_TRIES = 100
DEEPEST = 16

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_DOTTED = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_REFERENCE = re.compile(rf"{_DOTTED}:{_DOTTED}")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

LATEST = ("models/FL_global_model.pt", "models/best_FL_global_model.pt")
"""What a run itself writes into its folder: a job may begin from it although its package does not bring it."""

WeighBy = Literal["samples", "steps", "equal"]


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises ``ValueError`` with a sentence unless ``low <= value <= high`` (which NaN never is)."""
    if low <= value <= high:
        return
    if value < low:
        raise ValueError(f"{name} must be at least {low:g}, is {value}")
    raise ValueError(f"{name} must be at most {high:.12g}, is {value}")


def is_reference(text: str) -> bool:
    """Whether ``text`` is ``"package.module:Name"``."""
    return _REFERENCE.fullmatch(text) is not None


def plain(value: object, place: str = "", depth: int = 0) -> None:
    """Raises ``ValueError``, naming the place, for what JSON cannot carry."""
    if depth > DEEPEST:
        raise ValueError(f"{place} is nested more than {DEEPEST} deep")
    match value:
        case bool() | str() | None:
            return
        case int():
            within(place, value, -(2**63), 2**63 - 1)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{place} must be a finite number, is {value}")
        case Mapping():
            for key, item in value.items():
                plain(item, f"{place}.{key}" if place else str(key), depth + 1)
        case list() | tuple():
            for number, item in enumerate(value):
                plain(item, f"{place}[{number}]", depth + 1)
        case _:
            raise ValueError(f"{place} is a {type(value).__name__}; write it as a string")


class Choice(Options, frozen=True):
    """An extension by name with its options: ``{name = "trimmed_mean", trim = 0.1}``.

    Options are what JSON can carry (they travel to a worker): no dates, no infinite numbers. Whether the name and
    the options exist is for ``rondo.jobs.check.check_job``, which looks into the extension's room. ``place``: where
    it was written, for a reader whose form has such places.
    """

    name: str
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    place: str = ""

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.name):
            raise ValueError(f"name must be letters, digits and underscores, is {self.name!r}")
        plain(self.options)


class ServerPart(Options, frozen=True):
    """What the server does. Rounds are absolute: ``start_round .. num_rounds - 1`` (Clara's meaning).

    ``start_round >= num_rounds`` is a job with nothing to do; the server says so. Durations are in seconds.
    ``round_timeout`` 0 is off. ``seed`` "" lets the server draw one. ``keep_updates``: of how many past rounds the
    sites' updates are kept. ``exclude_vars``: a regular expression; tensors in whose names it is found keep the
    values that they began with. ``weights_scale``: ``aggregation_weights`` do not share out the mean, each scales
    what its site sent (the literal form of Clara, which rescales the model where they are not 1 on average).
    ``own_parts``: the trainer brings components of the job's own for the server (MMARs only). In cross-site validation
    a site has ``submit_model_timeout`` to send its best model, and ``validation_timeout`` to validate each one.
    """

    num_rounds: int
    min_clients: int = 1
    max_clients: int = 100
    wait_after_min_clients: float = 10.0
    start_round: int = 0
    round_timeout: float = 0.0
    aggregator: Choice = Choice(name="mean")
    aggregation_weights: dict[str, float] = msgspec.field(default_factory=dict)
    weights_scale: bool = False
    own_parts: bool = False
    exclude_vars: str = ""
    weigh_by: WeighBy = "samples"
    best_metric: str = ""
    best_mode: Literal["max", "min"] = "max"
    final_validation: bool = True
    seed: str = ""
    keep_updates: int = 0
    submit_model_timeout: float = 600.0
    validation_timeout: float = 6000.0

    def __post_init__(self) -> None:
        within("num_rounds", self.num_rounds, 0, MOST_ROUNDS)
        within("start_round", self.start_round, 0, MOST_ROUNDS)
        within("min_clients", self.min_clients, 1, MOST_CLIENTS)
        within("max_clients", self.max_clients, 1, MOST_CLIENTS)
        within("wait_after_min_clients", self.wait_after_min_clients, 0, MOST_SECONDS)
        within("round_timeout", self.round_timeout, 0, MOST_SECONDS)
        within("keep_updates", self.keep_updates, 0, MOST_ROUNDS)
        within("submit_model_timeout", self.submit_model_timeout, 1, MOST_SECONDS)
        within("validation_timeout", self.validation_timeout, 1, MOST_SECONDS)
        if self.min_clients > self.max_clients:
            raise ValueError(
                f"min_clients is {self.min_clients} but max_clients lets only {self.max_clients} in: "
                "no round could ever close"
            )
        for site, weight in self.aggregation_weights.items():
            if not SITE.fullmatch(site):
                raise ValueError(f"aggregation_weights: {site!r} is not a site name")
            if not 0 < weight < float("inf"):
                raise ValueError(f"aggregation_weights: the weight of {site} must be > 0, is {weight}")
        for key in ("best_metric", "seed", "exclude_vars"):
            text = getattr(self, key)
            if len(text) > 256 or not text.isprintable():
                raise ValueError(f"{key} must be at most 256 printable characters")
        try:
            re.compile(self.exclude_vars)
        except re.error as error:
            raise ValueError(f"exclude_vars is no regular expression: {error}") from None


class ModelPart(Options, frozen=True):
    """Where the first global model comes from: a ``function`` ("module:name", called with ``args``), a ``file``, or
    with ``trainer`` from the job's trainer, where that makes models.

    ``file`` is relative to the package's root, with "/" between folders: .safetensors, or .pt (read by a worker,
    never unpickled). ``checkpoints``: with every new model ``models/FL_global_model.pt`` is written, too, and
    ``best_FL_global_model.pt`` with a new best one: PyTorch checkpoints that hold this beside ``model``.
    """

    function: str = ""
    file: str = ""
    trainer: bool = False
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    checkpoints: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        given = [key for key in ("function", "file", "trainer") if getattr(self, key)]
        if len(given) != 1:
            got = "both" if given else "neither"
            raise ValueError(f'exactly one of function = "module:name" and file = "init.safetensors": got {got}')
        if self.function and not is_reference(self.function):
            raise ValueError(f'function must look like "module:name", is {self.function!r}')
        if self.file and not self.file.endswith((".safetensors", ".pt")):
            raise ValueError(f"file must end in .safetensors or .pt, is {self.file!r}")
        if self.args and not self.function:
            raise ValueError("args are for a function; a file takes none")
        plain(self.args, "args")
        plain(self.checkpoints, "checkpoints")
        if self.checkpoints is not None and "model" in self.checkpoints:
            raise ValueError("checkpoints: model is the model's own place")


class ClientPart(Options, frozen=True):
    """What each site runs. ``attempts``: how often a task is tried again after its worker died.

    ``processes``: of how many a site's training consists, started by torchrun, one for each GPU where there are any;
    ``start_mgpu`` may say otherwise.
    ``gpus``: of how many processes a site's training consists, started by torchrun, one for each GPU where there are
    any; ``start_mgpu`` may say otherwise. Only with both ``cross_validate`` and ``is_participating`` a site takes part
    in cross-site validation: it sends its best local model, through ``cross_filters`` (not ``filters``) and those of
    the site, and validates those of the others.
    """

    trainer: Choice
    filters: tuple[Choice, ...] = ()
    attempts: int = 3
    processes: int = 1
    cross_validate: bool = False
    is_participating: bool = False
    cross_filters: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        within("processes", self.processes, 1, MOST_PROCESSES)
        within("attempts", self.attempts, 0, MOST_TRIES)

    @property
    def crosses(self) -> bool:
        """Whether a site takes part in cross-site validation, unless its own policy keeps it from that."""
        return self.cross_validate and self.is_participating


class TransferPart(Options, frozen=True):
    """How files travel: the codec for updates on their way ``up``, and for models on their way ``down``.

    "none": as they are. A client that does not know one of the codecs takes no part. With one that loses something
    updates are differences to the model that the site received, whatever the trainer returns.
    """

    up: Choice = Choice(name="none")
    down: Choice = Choice(name="none")

    def __post_init__(self) -> None:
        for way, choice in self.chosen.items():
            if choice is None and getattr(self, way).options:
                raise ValueError(f"{way}: there is nothing to choose for none")

    @property
    def chosen(self) -> dict[str, Choice | None]:
        """By way; None where files travel as they are."""
        return {way: None if one.name == "none" else one for way, one in (("up", self.up), ("down", self.down))}


class EvaluationPart(Options, frozen=True):
    """What a job that trains nothing validates (``rondo.jobs.evaluation``): the model ``file`` of its package, which is
    called ``name`` in the results; at ``sites`` (none: at all)."""

    file: str
    name: str
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= 160 or not self.name.isprintable():
            raise ValueError("name must be 1 to 160 printable characters")


class Job(Options, frozen=True):
    """A job, whoever wrote it and in whatever form. ``evaluation``: it trains nothing."""

    name: str
    server: ServerPart
    model: ModelPart
    client: ClientPart
    transfer: TransferPart = TransferPart()
    resources: ResourcesPart = ResourcesPart()
    evaluation: EvaluationPart | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                "name must be up to 128 letters, digits, '.', '_' and '-', the first a letter or digit, "
                f"is {self.name[:140]!r}"
            )
        if self.client.crosses:  # each model that is validated has a round of its own, behind the last one
            within(
                "num_rounds", max(self.server.num_rounds, self.server.start_round), 0, MOST_ROUNDS - 2 * MOST_CLIENTS
            )
