"""What commands may touch: the desk, in four drawers.

Every method raises errors of ``rondo.base.errors``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rondo.base.options import Options
from rondo.commands.rows import Row, Table

WhenBusy = Literal["queue", "refuse"]  # a new run while another is under way waits for its turn, or is refused


@dataclass(frozen=True)
class ClientLine:
    """One logged-in client as ``check_status`` shows it. ``since``: seconds since the epoch, None where it waits for
    nothing."""

    instance: str
    kit: str  # name of the start-up kit it runs from
    session: str
    state: str  # here, away
    status: str  # training not started, training starting, ...
    waiting_for: str
    last_round: int | None
    contributions: int
    since: float | None = None
    then: str = ""  # what happens when the wait is over


@dataclass(frozen=True)
class RunLine:
    """A run as it stands. ``error``: the first failure, once it failed. Times: seconds since the epoch."""

    id: int
    number: int
    name: str
    state: str
    round: int | None
    start_round: int
    num_rounds: int
    min_clients: int
    max_clients: int
    submitted_now: int
    by: str
    best_version: int | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True)
class WaitingLine:
    """What a run waits for: whom, why, since when (seconds since the epoch), and what happens then."""

    clients: tuple[str, ...]
    why: str
    since: float
    then: str


@dataclass(frozen=True)
class FileLine:
    """A file that may be downloaded. ``path``: below the server's workspace; bytes; ``digest``: "" where not asked."""

    path: str
    size: int
    digest: str


class Clients(Protocol):
    """Who is logged in."""

    async def listed(self) -> list[ClientLine]: ...
    async def kits(self) -> dict[str, str]:
        """Of each, by instance name and in that order, the name of the start-up kit that it runs from."""

    async def leave(self, client: str, how: Literal["shutdown", "restart"]) -> None:
        """Returns when the client has gone. Raises ``Unreachable`` where it does not; then it stays."""

    async def remove(self, client: str) -> None:
        """It is off the list, at once and unasked. Raises ``NotFound``."""


class Runs(Protocol):
    """What is trained, was, and will be."""

    async def current(self) -> RunLine | None:
        """The run that is under way, else the newest one."""

    async def get(self, run: int) -> RunLine: ...
    async def listed(self) -> list[RunLine]: ...
    async def waiting(self) -> WaitingLine | None: ...
    async def submit(self, folder: str, when_busy: WhenBusy) -> int: ...
    async def start(self, when_busy: WhenBusy) -> int: ...
    async def start_client(self, client: str, gpus: int = 0) -> None:
        """``gpus``: processes that train together there; 0: as the job says."""

    async def abort_client(self, client: str) -> None: ...
    async def abort(self, run: int | None) -> int:
        """The run under way where no id is given."""

    async def models(self, run: int) -> list[Mapping[str, Any]]: ...
    async def metrics(self, run: int) -> list[Mapping[str, Any]]: ...
    async def crossed(self, run: int) -> list[Mapping[str, Any]]:
        """The matrix of its cross-site validation, an entry for every site and model: site, model, samples, metrics
        (None: empty), why (it is empty)."""


class Folders(Protocol):
    """The staging area, and the folders ``run_N``."""

    async def number(self) -> int | None: ...
    async def set_number(self, number: int) -> bool:
        """True where the number was used before."""

    async def delete_number(self, number: int) -> bool:
        """Nothing is deployed to it any more, no model made in it is kept, the server's folder is gone; whether there
        was one. Raises ``Conflict`` while it is in use. The other folders are each site's.
        """

    async def staged(self, folder: str) -> str:
        """Where the staged folder lies, for people."""

    async def transfer(self) -> str:
        """Where uploaded folders lie, for people."""

    async def files(self, path: str, digests: bool) -> list[FileLine]:
        """The files at ``path`` or below it, in ``transfer`` or in a folder ``run_N``."""

    async def deploy_server(self, folder: str) -> None: ...
    async def deploy_client(self, folder: str, client: str) -> None: ...


class House(Protocol):
    """The server itself."""

    @property
    def project(self) -> str: ...
    def authz(self, question: str, words: Sequence[str]) -> Table:
        """What ``rondo.policy.preview`` answers. Raises ``Conflict`` where no policy is defined."""

    async def timeout(self) -> float:
        """Seconds that clients have to answer a command."""

    async def set_timeout(self, seconds: float) -> None:
        """How long clients have from now on to answer a command."""

    async def stop(self) -> None:
        """Raises ``Conflict`` while clients are logged in."""

    async def restart(self) -> None: ...


class Desk(Protocol):
    """``user``: who asks."""

    user: str

    @property
    def clients(self) -> Clients: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def folders(self) -> Folders: ...
    @property
    def house(self) -> House: ...
    def each(self, sites: Sequence[str], ask: Callable[[str], AsyncIterator[Row]]) -> AsyncIterator[Row]:
        """What ``ask`` answers for each site, asked all at once, in their order; a client's error is a ``Problem``."""

    def visit(self, site: str, command: str, options: Options) -> AsyncIterator[Row]:
        """What ``at_site`` of the command answers at ``site``: "server", or a client's instance.

        Raises ``Unreachable`` where a client does not answer within the command timeout: then it never will.
        """
