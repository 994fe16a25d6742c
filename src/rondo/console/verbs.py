"""What can be typed: the server's commands (``rondo.commands``) and the console's own (``rondo.console.local``)."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from rondo.base import rooms
from rondo.base.errors import NotFound
from rondo.base.options import nearest
from rondo.commands import seam

LOCAL = "rondo.console.local"


@dataclass(frozen=True)
class Verb:
    """One command. ``here``: the console carries it out; else the server does."""

    name: str
    module: ModuleType
    here: bool

    @property
    def scope(self) -> str:
        return str(getattr(self.module, "SCOPE", ""))

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(getattr(self.module, "ALIASES", ()))

    @property
    def hidden(self) -> bool:
        """Not listed; to be typed by those who know it."""
        return bool(getattr(self.module, "HIDDEN", False))

    @property
    def sends(self) -> str:
        """The option that names a folder which is sent first."""
        return str(getattr(self.module, "SENDS", ""))

    @property
    def moves(self) -> bool:
        """Whether it moves files, and so goes on in the background when it takes long."""
        return bool(self.sends or getattr(self.module, "MOVES", False))

    @property
    def by_client(self) -> bool:
        """Listed among the client's commands, as Clara does with all that moves files."""
        return self.here or self.scope == "file_transfer"

    @property
    def full_name(self) -> str:
        return f"{self.scope}.{self.name}" if self.scope else self.name

    @property
    def description(self) -> str:
        """The first sentence of its help."""
        return re.split(r"(?<=[.:])\s", self.help.replace("\n", " "), maxsplit=1)[0].rstrip(".:")

    @property
    def help(self) -> str:
        return (inspect.getdoc(self.module) or "").replace("``", "")


@cache
def verbs() -> tuple[Verb, ...]:
    """All of them, by scope and name."""
    found = [
        Verb(name, rooms.pick(room, name, "run"), room == LOCAL)
        for room in (LOCAL, seam.ROOM)
        for name in rooms.names(room, "run")
    ]
    return tuple(sorted(found, key=lambda verb: (verb.scope, verb.name)))


def find(word: str) -> Verb:
    """The command called so: a name, an alias, or either with its scope before it (``sys.shutdown``)."""
    scope, dot, name = word.rpartition(".")
    for verb in verbs():
        if (name if dot else word) in (verb.name, *verb.aliases) and (not dot or scope == verb.scope):
            return verb
    raise NotFound(f"Undefined server command {word}", hint=nearest(word, [verb.name for verb in verbs()]))
