"""Where a client works: its kit, its workspace, the folders of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rondo.base.errors import ProtocolBroken
from rondo.client.audit import Diary
from rondo.client.sweeping import MADE
from rondo.pki.kit import Kit


@dataclass(frozen=True)
class Place:
    """``data``: what the client was started with for trainers to see; ``secret``: what the server does not know;
    ``diary``: the site's audit log."""

    instance: str
    kit: Kit
    data: Path | None
    secret: str
    diary: Diary

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self.kit.workspace

    def run_folder(self, number: int) -> Path:
        return self.folder / f"run_{number}"

    def code(self, number: int) -> Path:
        """The job."""
        return self.run_folder(number) / f"mmar_{self.instance}"

    def work(self, number: int) -> Path:
        """Where the job's code may write; it is the site's afterwards."""
        return self.run_folder(number) / f"work_{self.instance}"

    @property
    def cache(self) -> Path:
        """Models and updates on their way."""
        return self.folder / "cache" / self.instance

    @property
    def made(self) -> Path:
        """Where the training worker leaves its updates."""
        return self.cache / MADE

    def taken(self, number: int) -> list[Path]:
        """All that a run takes of the disk."""
        beside = self.run_folder(number).glob(f"{self.instance}.*")
        return [self.code(number), self.work(number), self.cache, *beside]


def see_own_name(instance: str, name: str) -> None:
    """Raises ``ProtocolBroken`` unless a client of the kit ``name`` may be called ``instance``: folders are, too."""
    if not re.fullmatch(rf"{re.escape(name)}(_[0-9]{{1,9}})?", instance):
        raise ProtocolBroken(f"the server calls this client {instance[:60]!r}", where=name)
