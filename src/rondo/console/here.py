"""What the console's own commands may touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rondo.console.lines import Lines
from rondo.console.output import Output
from rondo.console.session import AdminSession
from rondo.console.transfers import Transfers
from rondo.net.transfer import Progress


@dataclass(frozen=True)
class Here:
    """The console while it carries out one command. ``out``: where its words go; ``leave``: end the console then."""

    session: AdminSession
    lines: Lines
    transfers: Transfers
    out: Output
    progress: Progress
    leave: Callable[[], None]

    @property
    def transfer_folder(self) -> Path:
        """Where the console sends from and fetches to."""
        return self.session.kit.workspace / "transfer"

    def part(self, before: int, size: int) -> Progress:
        """Of one of several files that are one transfer of ``size`` bytes, of which ``before`` have been moved."""
        return lambda done, _: self.progress(before + done, size)
