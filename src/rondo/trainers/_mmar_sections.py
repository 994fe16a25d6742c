"""The sections of a config: what stands in them, with references resolved and without what is disabled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rondo.base.errors import BadInput
from rondo.jobs.components import Component, Reading
from rondo.jobs.mmar import Mmar
from rondo.jobs.placed import Place, Placed
from rondo.trainers._team import ALONE, Team

Tell = Callable[[str, Place], None]

NAMES = ("train", "validate", "")
"""``""`` is the file itself, for configs that are one section."""

VALIDATING = {"dont_load_ts_model": True, "dont_load_ckpt_model": True, "MMAR_CKPT": "models/model.pt"}
"""How a validation config is used in a federation: the model comes from elsewhere, as a checkpoint would."""

# Of several processes that train together: handlers that write or print, which one does for all; and handlers that
# all have to have, because they change what is trained or wait for each other.
_FOR_ALL = ("CheckpointSaver", "StatsHandler", "TensorBoardStatsHandler", "TensorBoardImageHandler")
_OF_ALL = ("LrScheduleHandler", "ValidationHandler", "EarlyStopHandler", "MetricsSaver", "ClassificationSaver")


class Sections:
    """Of the config ``name`` of ``mmar``, for one process of ``team``. ``tell`` gets what was left out, and where."""

    def __init__(self, mmar: Mmar, name: str, tell: Tell, team: Team = ALONE) -> None:
        self.mmar = mmar
        self.root = mmar.files[name]
        self.reading: Reading = mmar.reading(name)
        self.tell = tell
        self.team = team

    def node(self, section: str, key: str) -> Placed | None:
        """What stands under ``key``."""
        table = self.root.get(section) if section else self.root
        return table.get(key) if table is not None else None

    def home(self, section: str, key: str) -> str:
        """The section that has ``key``: this one, else another."""
        others = [section, *(other for other in NAMES if other != section)]
        return next((one for one in others if self.node(one, key) is not None), section)

    def single(self, section: str, key: str) -> Component | None:
        """The component under ``key``; None for none, and for a disabled one. Raises ``BadInput`` at its place."""
        node = self.node(section, key)
        return None if node is None else self.component(node, key)

    def listed(self, section: str, key: str) -> list[Component]:
        """The components of a list (or a single one) that are not disabled. Raises ``BadInput`` at their places."""
        found = (self.component(item, key) for item in self.items(section, key))
        return [one for one in found if one is not None]

    def items(self, section: str, key: str) -> list[Placed]:
        """What stands in a list; a single value is a list of one."""
        node = self.node(section, key)
        if node is None:
            return []
        return node.items if isinstance(node.value, list) else [node]

    def component(self, node: Placed, key: str) -> Component | None:
        """The component at ``node``; None for one that is disabled, or has no place here."""
        made = self.reading.read(node)
        return self._referred(made, key) if not made.disabled and self.fits_here(made) else None

    def fits_here(self, made: Component) -> bool:
        """Whether a component has its place in this process, and in a federation: the server sends the model, nobody
        loads another one."""
        if made.short == "CheckpointLoader":
            self.tell("CheckpointLoader: left out, the model comes from the server", made.place)
            return False
        rank = made.beside.get("rank")
        if rank is not None and not str(rank).isdecimal():
            raise BadInput(f"rank must be the number of a process, is {rank!r}", where=str(made.place))
        if self.team.size > 1 and made.short in _OF_ALL:
            if rank is not None:
                self.tell(f"{made.short}: rank is passed over, all processes need it", made.place)
            return True
        if rank is None:
            return self.team.first or made.short not in _FOR_ALL
        return int(rank) == self.team.rank

    def _referred(self, made: Component, key: str) -> Component:
        """The component of the train section that ``ref`` names, with what stands beside the reference."""
        if not made.ref:
            return made
        for item in self.items("train", key):
            found = self.reading.read(item)
            if found.short == made.ref.rpartition(".")[2]:
                return replace(found, beside={**found.beside, **made.beside}, disabled=False)
        raise BadInput(f"ref names {made.ref!r}, which train's {key} has not", where=str(made.place))
