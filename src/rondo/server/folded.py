"""What the worker made of a round: the next model, and what a rule that remembers has to find again in the next round.

Both become the store's files before the round is committed, and the ledger learns of both in that one transaction: a
server that is killed before it folds again, from the same files to the same bits, and one that is killed after it goes
on from the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.blobs.seam import BlobStore
from rondo.ledger.models import Model
from rondo.server.store import Store
from rondo.tensors.digest import FileInfo


@dataclass(frozen=True)
class Folded:
    """The new ``model``; the ``memory`` of the rule, if it has one; by client what its update weighed, 0 left out."""

    model: FileInfo
    memory: FileInfo | None
    weights: Mapping[str, float]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Folded:
        """From what the worker answered."""
        memory = answer["memory"] and _file(answer["memory"])
        return cls(_file(answer), memory, answer["weights"])

    def keep(self, blobs: BlobStore) -> None:
        """Give the memory to the store. (The model goes there with what clients are sent for it.)"""
        if self.memory is not None:
            blobs.adopt(self.memory.path, self.memory.digest)

    @property
    def remembered(self) -> dict[str, Any]:
        """What the ledger keeps of the memory with the version (see ``rondo.ledger.models.Model.memory``)."""
        return {"memory": {"digest": self.memory.digest, "size": self.memory.size}} if self.memory else {}


def made_for(store: Store, run: int, model: Model) -> dict[str, str]:
    """The part of a request to fold that says where files are to be and where the rule's memory is.

    Raises ``NoSpace`` where there is no room for them.
    """
    digest, size = model.memory
    store.room.need(model.size + size, "the new model")
    return {
        "base": str(store.blobs.local(model.digest)),
        "memory": str(store.blobs.local(digest)) if digest else "",
        "out": str(store.spool / f".folded-{run}"),
        "memory_out": str(store.spool / f".memory-{run}"),
    }


def _file(said: Mapping[str, Any]) -> FileInfo:
    return FileInfo(Path(said["path"]), said["digest"], said["size"])
