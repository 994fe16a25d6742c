"""Rondo from Python: a session of an admin, for scripts and notebooks.

>>> with rondo.connect(kit) as admin:
...     run = admin.submit(job).wait()
...     weights = run.arrays("last")
>>> run.state
'finished'

Everything here returns when it is done, and raises the errors of ``rondo.base.errors``, as every other face does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rondo.base.errors import RondoError
from rondo.commands import seam
from rondo.commands.desk import ClientLine, RunLine
from rondo.commands.list_runs import HEAD, cells
from rondo.commands.rows import Problem, Row, Table, Text, facts
from rondo.console.draw import as_text
from rondo.console.evaluating import evaluate
from rondo.console.link import Link, read
from rondo.console.listing import Listing, html_table
from rondo.console.run import Run, line_of, lines
from rondo.console.session import problems
from rondo.net.transfer import Progress

SITES = ("site", "state", "status", "waiting for", "last round", "updates")


def connect(kit: str | Path, *, patience: float = 0.0) -> Session:
    """Log in with an admin's opened kit: the folder that contains ``startup/``.

    ``patience``: seconds to wait for a server that is not there yet. Raises ``BadInput`` and ``Refused`` for a kit that
    cannot be used, ``Unreachable`` (``GaveUp`` after patience).

    >>> admin = rondo.connect(kit)
    >>> admin.close()
    """
    return Session(Link(Path(kit), patience))


@dataclass(frozen=True)
class Status:
    """Of the server. ``status``: in Clara's words; ``run``: the one under way, else the newest; ``clients``: who is
    logged in."""

    run_number: int | None
    status: str
    run: RunLine | None
    clients: tuple[str, ...]

    def _repr_html_(self) -> str:
        run = f"{self.run.id}: {self.run.name}, {self.run.state}" if self.run else ""
        rows = [("run number", self.run_number), ("status", self.status), ("run", run)]
        return html_table(("server", ""), [*rows, ("clients", ", ".join(self.clients))])


class Answer(Sequence[Row]):
    """What a command answered: its rows, the values for programs in ``facts``, and ``str`` for people."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)
        self.facts: Mapping[str, Any] = facts(rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return "\n".join(filter(None, map(as_text, self._rows)))

    def _repr_html_(self) -> str:
        return "".join(map(_html, self._rows))


def _html(row: Row) -> str:
    match row:
        case Table(head, rows):
            return html_table(head, rows)
        case Text(text, site):
            return html_table((), [[site, line] if site else [line] for line in text.splitlines()])
        case Problem(error, site):
            return html_table((), [[site, f"Error: {error}"]])
    return ""


class Session:
    """Made by ``connect``. Use it as a context manager, or ``close`` it; a program that ends closes it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Log out. What another thread waits for raises ``Conflict``."""
        self._link.close()

    def status(self) -> Status:
        """Where the server is.

        >>> admin.status().clients
        ('a', 'bb')
        """
        return read(self._link.facts("check_status", "server"), Status)

    def sites(self) -> Listing[ClientLine]:
        """The clients that are logged in, as the server knows them.

        >>> [(site.instance, site.state) for site in admin.sites()]
        [('a', 'here'), ('bb', 'here')]
        """
        found = read(self._link.facts("check_status", "server").get("sites"), list[ClientLine])
        return Listing(found, SITES, _site_cells)

    def submit(
        self,
        folder: str | Path,
        *,
        when_busy: Literal["queue", "refuse"] = "queue",
        progress: Progress | None = None,
    ) -> Run:
        """Check the job in ``folder``, send it, and run it on every client. Returns as soon as it is queued.

        ``when_busy``: while another run, or its validation, is under way, the new one waits for its turn or is refused
        (``Conflict``). ``progress`` is told the bytes that are sent and their total. Raises ``BadInput`` for a job that
        is not whole, before anything is sent.

        >>> run = admin.submit(job, when_busy="refuse")
        >>> run.wait()  # doctest: +ELLIPSIS
        <run ...: study, finished>
        """
        args = [str(Path(folder).resolve()), "--when-busy", when_busy]
        return self.run(read(facts(self._link.rows("submit_job", args, progress)).get("run"), int))

    def validate(
        self, folder: str | Path, model: str | Path, *, sites: Sequence[str] = (), progress: Progress | None = None
    ) -> Run:
        """Validate ``model`` (a .safetensors or .pt file) with the trainer of the job in ``folder``, at these sites or
        at all, without training; returns when it is done. ``Run.validation`` has what was found.

        Raises what ``submit`` and ``Run.wait`` raise, ``BadInput`` for a site that is not logged in.

        >>> done = admin.validate(job, admin.run(1).model("last"), sites=["a"])
        >>> sorted(done.validation()[0].metrics)
        ['mean']
        """
        work = evaluate(self._link.admin, Path(folder).resolve(), Path(model), list(sites), progress)
        return self.run(self._link.do(work)).wait()

    def run(self, run: int) -> Run:
        """The run with this id. Raises ``NotFound``.

        >>> admin.run(1).line.name
        'study'
        """
        return Run(self._link, line_of(self._link, run))

    def runs(self) -> Listing[Run]:
        """The runs, newest first.

        >>> admin.runs()[-1].id
        1
        """
        return Listing([Run(self._link, line) for line in lines(self._link)], HEAD, lambda run: cells(run.line))

    def logs(self, site: str = "server", *, file: str = "log.txt", lines: int = 100) -> str:
        """The last lines of a file of ``site``: "server", or a client's instance. What may be shown is said at the
        command ``cat``; a site's policy may forbid it (``Refused``).

        >>> admin.logs("a", file="run_1/a.log", lines=1).partition(" | ")[2]
        'training round 1 at a'
        """
        rows = self._link.rows("tail", [site, file, "-n", str(lines)])
        return "".join(row.text for row in rows if isinstance(row, Text)).rstrip("\n")

    def follow(self, site: str = "server", *, file: str = "log.txt", lines: int = 10) -> Iterator[str]:
        """As ``logs``, and then what is added, in pieces of whole lines, for as long as somebody asks for more.

        >>> next(admin.follow("a", file="run_1/a.log", lines=1)).partition(" | ")[2]
        'training round 1 at a'
        """
        args = [site, file, "-f", "-n", str(lines)]
        for row in self._link.each(self._link.admin.rows("tail", args)):
            if isinstance(row, Text):
                yield row.text.rstrip("\n")

    def command(self, line: str, *, check: bool = True) -> Answer:
        """Any command of the console, as it is typed there. It is not asked whether you are sure.

        Raises what the server refuses it with; and the error of the first site that could not do it, unless ``check``
        is false: then the answer has it.

        >>> print(admin.command("check_status server"))  # doctest: +ELLIPSIS
        FL run number has not been set.
        ...
        >>> admin.command("list_models 1").facts["run"]
        1
        """
        name, *args = seam.split(line) or [""]
        answer = Answer(self._link.rows(name, args))
        error: RondoError | None = problems(answer) if check else None
        if error is not None:
            raise error
        return answer


def _site_cells(line: ClientLine) -> list[object]:
    return [line.instance, line.state, line.status, line.waiting_for, line.last_round, line.contributions]
