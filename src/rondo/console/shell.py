"""The interactive console: lines in, commands done, words out. What moves files goes on while other lines are read."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rondo.base.clock import Clock, SystemClock
from rondo.base.errors import Conflict, RondoError, Unreachable
from rondo.commands import seam
from rondo.commands.rows import Facts, Row
from rondo.console.draw import as_text, done
from rondo.console.greeting import greet, is_stranger
from rondo.console.here import Here
from rondo.console.lines import Interrupted, Lines
from rondo.console.output import Output
from rondo.console.redirect import redirected
from rondo.console.session import AdminSession, problems
from rondo.console.transfers import Transfer, Transfers
from rondo.console.verbs import Verb, find

PATIENCE = 2.0  # seconds that a transfer may take before the console goes on without waiting for it
PROMPT = "> "
SURE = "Are you sure (Y/N): "


@dataclass(frozen=True)
class _Order:
    """A line, understood: what to do, and where its words go."""

    line: str
    verb: Verb
    args: list[str]
    options: Any
    out: Output


class Shell:
    """One console, from the first line to the last. ``trouble``: the first error there was."""

    def __init__(self, session: AdminSession, lines: Lines, transfers: Transfers, clock: Clock | None = None) -> None:
        self.trouble: RondoError | None = None
        self._session = session
        self._lines = lines
        self._transfers = transfers
        self._clock = clock if clock is not None else SystemClock()
        self._left = False
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until ``bye``, Ctrl-D or the end of the lines."""
        loop = asyncio.get_running_loop()
        if self._lines.interactive:
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            async with asyncio.TaskGroup() as tasks:
                while not (self._left and await self._may_leave()):
                    self._left = False
                    await self._next(tasks)
                for transfer in self._transfers.running.values():
                    if transfer.task is not None:
                        transfer.task.cancel()
        finally:
            if self._lines.interactive:
                loop.remove_signal_handler(signal.SIGINT)

    async def _next(self, tasks: asyncio.TaskGroup) -> None:
        try:
            line = await self._lines.ask(PROMPT, remember=True)
        except Interrupted:
            return
        except EOFError:
            self._left = True
            return
        try:
            order = self._understood(line)
            if order is None:
                return
            if getattr(order.verb.module, "CONFIRM", False) and not await self._sure(SURE):
                order.out.close()
                return
            await self._foreground(order, tasks)
        except RondoError as error:
            self._failed(error)
            self._lines.say(f"Error: {error}")

    def _understood(self, line: str) -> _Order | None:
        line, redirect = redirected(line.replace("?", "? ", 1) if line.lstrip().startswith("?") else line)
        words = seam.split(line)
        if not words:
            return None
        verb = find(words[0])
        options = seam.parse(verb.module, words[1:])
        folder = str(getattr(options, verb.sends or "folder", ""))
        under_way = self._transfers.sending(seam.folder_name(folder)) if folder else None
        if under_way is not None and verb.sends:
            raise Conflict(f"{folder} is on its way already", hint=f"cancel {under_way.number} stops it")
        if under_way is not None:  # the server would take what it has of that name: an older one
            raise Conflict(f"{folder} is still on its way to the server", hint="its end is told here")
        return _Order(line, verb, words[1:], options, Output(self._lines.say, redirect))

    async def _sure(self, question: str) -> bool:
        with suppress(Interrupted, EOFError):
            return (await self._lines.ask(question)).strip().lower() in ("y", "yes")
        return False

    async def _may_leave(self) -> bool:
        """Ask where something is under way still."""
        if not self._transfers.running or not self._lines.interactive:
            return True
        for line in self._transfers.lines():
            self._lines.say(line)
        self._lines.say("What has arrived is kept: the same command goes on with it another time.")
        return await self._sure("Leave all the same (Y/N): ")

    # ---- one command

    async def _foreground(self, order: _Order, tasks: asyncio.TaskGroup) -> None:
        """Wait for its end; for that of a transfer not longer than a person likes to wait."""
        transfer = None
        if order.verb.moves:
            folder = seam.folder_name(str(getattr(order.options, order.verb.sends))) if order.verb.sends else ""
            transfer = self._transfers.begin(order.line, folder)
        task = self._task = tasks.create_task(self._carry_out(order, transfer))
        if transfer is not None:
            transfer.task = task
        await asyncio.wait({task}, timeout=PATIENCE if transfer and self._lines.interactive else None)
        self._task = None
        if not task.done() and transfer is not None:
            order.out.heading = f"{order.line}:"
            self._lines.say(
                f"It goes on while you go on; its end is told here, and `cancel {transfer.number}` stops it."
            )
        elif task.cancelled():
            self._lines.say("\nInterrupted")  # behind the ^C that the terminal shows

    def _interrupt(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _carry_out(self, order: _Order, transfer: Transfer | None) -> None:
        out, began = order.out, self._clock.ticks()
        rows: list[Row] = []
        try:
            async with aclosing(self._rows(order, transfer)) as answers:
                async for row in answers:
                    rows.append(row)
                    if text := as_text(row):
                        out.write(text)
            if not order.verb.here or order.verb.moves:
                out.write(done(int((self._clock.ticks() - began) * 1e6), datetime.now()))
            self._failed(problems(rows))
            if any(isinstance(row, Facts) and row.values.get("stopped") == "server" for row in rows):
                out.write("Bye bye")
                self._left = True
        except RondoError as error:
            self._failed(error)
            out.trouble(self._told(error))
            if is_stranger(error) and self._task is asyncio.current_task():
                await greet(self._session, self._lines)
        except OSError as error:
            out.trouble(f"Error: {error.filename or order.line}: {error.strerror}")
        finally:
            if transfer is not None:
                self._transfers.end(transfer)
            out.close()

    def _rows(self, order: _Order, transfer: Transfer | None) -> AsyncGenerator[Row, None]:
        def progress(moved: int, size: int) -> None:
            if transfer is not None:
                self._transfers.moved(transfer, moved, size)

        if not order.verb.here:
            return self._session.rows(order.verb.name, order.args, progress)
        here = Here(self._session, self._lines, self._transfers, order.out, progress, self._leave)
        found: AsyncGenerator[Row, None] = order.verb.module.run(here, order.options)
        return found

    def _leave(self) -> None:
        self._left = True

    def _failed(self, error: RondoError | None) -> None:
        self.trouble = self.trouble or error

    def _told(self, error: RondoError) -> str:
        if isinstance(error, Unreachable):
            where = f"{error.where}: {error.what}"
            return f"Error: Communication Error - please try later ({where}; the session goes on once it is back)"
        return f"Error: {error}"
