"""The sections of a config: what stands in them, with references resolved and without what is disabled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rondo.base.errors import BadInput
from rondo.jobs.components import Component, Reading
from rondo.jobs.mmar import Mmar
from rondo.jobs.placed import Place, Placed

Tell = Callable[[str, Place], None]

NAMES = ("train", "validate", "")
"""``""`` is the file itself, for configs that are one section."""


class Sections:
    """Of the config ``name`` of ``mmar``. ``tell`` gets what was left out, and where."""

    def __init__(self, mmar: Mmar, name: str, tell: Tell) -> None:
        self.mmar = mmar
        self.root = mmar.files[name]
        self.reading: Reading = mmar.reading(name)
        self.tell = tell

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
        made = self.reading.component(node) if node is not None else None
        self.reading.findings.raise_first()
        return None if made is None or made.disabled else self._referred(made, key)

    def listed(self, section: str, key: str) -> list[Component]:
        """The components of a list (or a single one) that are not disabled. Raises ``BadInput`` at their places."""
        node = self.node(section, key)
        if node is not None and not isinstance(node.value, list):
            node = Placed([node], node.place)
        found = self.reading.components(node)
        self.reading.findings.raise_first()
        return [self._referred(one, key) for one in found if self._fits_here(one)]

    def _fits_here(self, made: Component) -> bool:
        """Whether a handler has its place in a federation: the server sends the model, nobody loads another one."""
        if made.short == "CheckpointLoader":
            self.tell("CheckpointLoader: left out, the model comes from the server", made.place)
            return False
        return int(made.beside.get("rank", 0) or 0) == 0

    def _referred(self, made: Component, key: str) -> Component:
        """The component of the train section that ``ref`` names, with what stands beside the reference."""
        if not made.ref:
            return made
        node = self.node("train", key)
        items = node.value if node is not None and isinstance(node.value, list) else [node] if node else []
        for item in items:
            found = self.reading.component(item)
            if found is not None and found.short == made.ref.rpartition(".")[2]:
                return replace(found, beside={**found.beside, **made.beside}, disabled=False)
        raise BadInput(f"ref names {made.ref!r}, which train's {key} has not", where=str(made.place))
