"""A run as a program sees it: follow it, wait for it, take its metrics and models, end it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rondo.base.errors import BadInput, GaveUp, NotFound
from rondo.commands.desk import RunLine
from rondo.commands.list_runs import HEAD, cells
from rondo.commands.rows import figures
from rondo.console.board import Board, step
from rondo.console.link import Link, read
from rondo.console.listing import Listing, has_pandas, html_table
from rondo.console.session import RunEvent, outcome
from rondo.console.views import viewing
from rondo.net.transfer import Progress
from rondo.tensors.dtypes import Array, widen
from rondo.tensors.files import TensorFile

if TYPE_CHECKING:
    import pandas

_WHICH = re.compile(r"best|last|[0-9]{1,9}")


@dataclass(frozen=True)
class Metric:
    """One scalar that a client returned. ``scope``: "global" for the model it got, "local" for the one it trained."""

    round: int
    client: str
    scope: str
    name: str
    value: float
    samples: float


@dataclass(frozen=True)
class Version:
    """A version of the global model: what the round of that number starts from. ``size`` in bytes; ``kept``: whether it
    can be fetched; ``metrics``: means over the clients."""

    version: int
    best: bool
    kept: bool
    digest: str
    size: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Entry:
    """One model on one site's data. ``metrics`` is None where it was not validated; ``why`` says why not."""

    site: str
    model: str
    samples: float | None = None
    metrics: Mapping[str, float] | None = None
    why: str = ""


class Run:
    """Made by ``Session.submit``, ``Session.run`` and ``Session.runs``. ``line``: what was known of it last.

    >>> run = admin.submit(job)
    >>> run.wait().state
    'finished'
    """

    def __init__(self, link: Link, line: RunLine) -> None:
        self.line = line
        self._link = link

    @property
    def id(self) -> int:
        """As every command names it."""
        return self.line.id

    @property
    def state(self) -> str:
        """One of ``rondo.rounds.states``, when ``line`` was learned."""
        return self.line.state

    def refresh(self) -> Run:
        """Learn what is known of it now; returns this run.

        >>> run.refresh().line.num_rounds
        2
        """
        self.line = line_of(self._link, self.id)
        return self

    def watch(self, after: int = 0) -> Iterator[RunEvent]:
        """What happens, as it happens: from event number ``after`` on, to the end of the run.

        It goes on through restarts of the server. What befalls the server and its clients comes too (``run`` 0).

        >>> [event.kind for event in run.watch() if event.kind.startswith("run_")]
        ['run_submitted', 'run_dispatching', 'run_running', 'run_validating', 'run_finished']
        """
        return self._link.each(self._link.admin.watch(self.id, after))

    def wait(self, timeout: float | None = None, progress: Callable[[Board], None] | None = None) -> Run:
        """Until it is over; returns this run, refreshed. ``progress`` is told of every change, ``timeout`` in seconds.

        Raises ``RunFailed`` with the first failure, ``RunAborted``, ``GaveUp`` after the timeout (the run goes on).

        >>> seen = []
        >>> run.wait(timeout=60, progress=lambda board: seen.append(board.committed)).state
        'finished'
        >>> seen[-1]
        2
        """
        board, last = Board(), None
        try:
            for last in self._link.each(self._link.admin.watch(self.id), timeout):
                board = step(board, asdict(last))
                if progress is not None:
                    progress(board)
        except TimeoutError:
            raise GaveUp(f"run {self.id} is not over after {timeout:g} s", hint="it goes on: wait again") from None
        return self._over(last)

    def show(self) -> Run:
        """Draw it live until it is over, in a notebook or a terminal; else as ``wait``.

        >>> run.show().state  # doctest: +ELLIPSIS
            0.0 s  job study submitted by ...
        ...
        'finished'
        """
        last = None
        with viewing(self._link.clock) as view:
            for last in self._link.each(self._link.admin.watch(self.id)):
                view.feed(asdict(last))
        return self._over(last)

    def _over(self, last: RunEvent | None) -> Run:
        if last is not None:
            outcome(last)
        return self.refresh()

    def metrics(self) -> pandas.DataFrame | Listing[Metric]:
        """Every scalar that the clients returned, by round and client: a pandas ``DataFrame`` where there is pandas,
        else a listing of ``Metric``.

        >>> run.metrics().query("round == 0 and client == 'a' and scope == 'local'")["name"].tolist()
        ['loss']
        """
        found = [read(one, Metric) for one in self._link.facts("list_metrics", str(self.id)).get("metrics", ())]
        head = ("round", "client", "scope", "name", "value", "samples")
        listing = Listing(found, head, lambda one: [getattr(one, name) for name in head])
        return listing.frame() if has_pandas() else listing

    def validation(self) -> Listing[Entry]:
        """What every model was worth on every site's data, as far as it is known; an empty entry says why.

        Raises ``Conflict`` for a run without cross-site validation.

        >>> matrix = admin.validate(job, run.model("last")).validation()
        >>> [(one.site, one.why) for one in matrix]
        [('a', ''), ('bb', '')]
        """
        facts = self._link.facts("validate", "all", "--run", str(self.id))
        found = [read(one, Entry) for one in facts.get("entries", ())]
        return Listing(found, ("site", "model", "samples", "metrics", "why"), _entry_cells)

    def models(self) -> Listing[Version]:
        """The versions of its global model.

        >>> [model.version for model in run.models()]
        [0, 1, 2]
        """
        facts = self._link.facts("list_models", str(self.id))
        found = [read({**one, "best": one["version"] == facts["best"]}, Version) for one in facts["models"]]
        return Listing(found, ("version", "best", "kept", "digest", "size", "metrics"), _version_cells)

    def model(self, which: str | int = "best", to: str | Path = "", progress: Progress | None = None) -> Path:
        """Fetch a version of the model as a safetensors file, and say where it lies.

        ``which``: "best" (by the job's ``best_metric``), "last", or a version. ``to``: the file to write; in the kit's
        folder ``transfer/models`` where none is given. ``progress`` is told the bytes that are here and their total.
        Raises ``NotFound`` for a version that is not kept.

        >>> run.model("last").name
        'run_1_last.safetensors'
        """
        name = _which(which)
        folder = self._link.admin.kit.workspace / "transfer" / "models"
        path = Path(to) if to else folder / f"run_{self.id}_{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._link.do(self._link.admin.model(self.id, name, path.absolute(), progress))
        return path

    def arrays(self, which: str | int = "best") -> dict[str, Array]:
        """A version of the model as read-only arrays by name, read from the disk as they are touched; bfloat16 comes
        as float32.

        >>> sorted(run.arrays("last"))
        ['n', 'w']
        """
        with tempfile.TemporaryDirectory() as folder, TensorFile(self.model(which, Path(folder) / "model")) as file:
            return {tensor.name: _array(file[tensor.name], tensor.dtype) for tensor in file.layout.tensors}

    def abort(self) -> None:
        """End it, queued or under way: no training process is left two seconds later. Raises ``Conflict`` where it is
        over."""
        self._link.facts("abort_run", str(self.id))

    def __repr__(self) -> str:
        return f"<run {self.id}: {self.line.name}, {self.state}>"

    def _repr_html_(self) -> str:
        return html_table(HEAD, [cells(self.line)])


def lines(link: Link) -> list[RunLine]:
    """The runs, newest first."""
    return read(link.facts("list_runs").get("runs"), list[RunLine])


def line_of(link: Link, run: int) -> RunLine:
    """Raises ``NotFound``."""
    for line in lines(link):
        if line.id == run:
            return line
    raise NotFound(f"there is no run {run}", hint="runs() lists what there is")


def _entry_cells(one: Entry) -> list[object]:
    samples = "" if one.samples is None else one.samples
    return [one.site, one.model, samples, figures(one.metrics or {}), one.why]


def _version_cells(one: Version) -> list[object]:
    return [one.version, one.best, one.kept, one.digest, one.size, figures(one.metrics)]


def _which(which: str | int) -> str:
    name = str(which)
    if _WHICH.fullmatch(name) is None:
        raise BadInput(f"{which!r} is no version of a model", hint='"best", "last", or a number')
    return name


def _array(array: Array, dtype: str) -> Array:
    if dtype != "BF16":
        return array
    wide: Any = np.empty(array.size, np.float32)
    widen(array.reshape(-1), dtype, wide)
    wide.flags.writeable = False
    return wide.reshape(array.shape)  # type: ignore[no-any-return]
