"""What the audit log says of an admin's command: refused and why; or that it was begun, and what came of it.

It is told before anything is done, so that what a site does by this command can name its event, and told again at the
end: whoever finds the first line alone knows that the server was killed in between.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rondo.base.chain import LONGEST_ACTION, entry
from rondo.base.errors import RondoError
from rondo.base.ids import new_id
from rondo.commands.rows import Problem, Row
from rondo.ledger import audit
from rondo.ledger.sessions import Session
from rondo.server.store import Store
from rondo.wire import rondo_pb2 as pb


def words_of(request: pb.CommandRequest) -> str:
    """The command as it was typed, or near enough."""
    words = [request.name, *request.args[:LONGEST_ACTION]]
    return shlex.join(word[:LONGEST_ACTION] for word in words)


class Asked:
    """A command that is being answered. ``event`` is its name in the audit log."""

    def __init__(self, store: Store, user: str, text: str) -> None:
        self.event = new_id()
        self.begun = False
        self.problems: list[str] = []
        self._store = store
        self._user = user
        self._text = text

    async def allowed(self) -> None:
        """It is understood and permitted: from here on something is done."""
        await self.tell("allowed", event=self.event)
        self.begun = True

    def answered(self, row: Row) -> None:
        if isinstance(row, Problem):
            self.problems.append(f"{row.site or 'server'}: {row.error}")

    async def tell(self, message: str, *, event: str = "") -> None:
        told = entry(
            self._store.clock.now(), self._user, self._text, message, ref="" if event else self.event, event=event
        )
        await self._store.do(audit.tell, told)


@asynccontextmanager
async def told(store: Store, session: Session, text: str) -> AsyncIterator[Asked]:
    """Around the answering of a command: whatever comes of it is told."""
    asked = Asked(store, session.name, text)
    try:
        yield asked
    except RondoError as error:
        if asked.begun:
            await asked.tell(f"failed: {error}")
        else:
            await asked.tell(f"refused: {error}", event=asked.event)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        await asked.tell("not waited for")
        raise
    except Exception as error:
        await asked.tell(f"failed by a defect: {type(error).__name__}")
        raise
    await asked.tell(f"done, but for {'; '.join(asked.problems)}" if asked.problems else "done")
