"""A site to look around at: the server's place, or a client's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """``name``: "server" or the client's instance; ``folder``: its workspace, all that may be seen of it."""

    name: str
    folder: Path

    async def think(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which may read files: in a thread."""
        return await asyncio.to_thread(work)
