"""The console from its first line to its last: a person's terminal, or a script that is piped in."""

from __future__ import annotations

import os
import sys

from rondo.base.disk import disk_errors
from rondo.base.errors import RondoError
from rondo.console.completion import Known, LineCompleter
from rondo.console.greeting import greet
from rondo.console.lines import Interrupted, Lines, Script
from rondo.console.session import AdminSession, open_session
from rondo.console.shell import Shell
from rondo.console.terminal import Terminal
from rondo.console.transfers import Transfers
from rondo.pki.kit import Kit

HISTORY = ".console_history"  # in the kit's workspace


async def converse(kit: Kit, version: str, user: str = "") -> RondoError | None:
    """Log in and do what is asked. Returns the first error that a script met; a person has seen theirs.

    Raises what keeps somebody from logging in.
    """
    async with open_session(kit, version) as session:
        transfers = Transfers(lambda: lines.redraw())
        lines = _terminal(session, transfers) if sys.stdin.isatty() and sys.stdout.isatty() else Script()
        try:
            await greet(session, lines, user)
        except (EOFError, Interrupted):
            return None
        shell = Shell(session, lines, transfers)
        await shell.run()
        return None if lines.interactive else shell.trouble


def _terminal(session: AdminSession, transfers: Transfers) -> Lines:
    folder = session.kit.workspace
    with disk_errors(folder, "write"):
        os.makedirs(folder / "transfer", exist_ok=True)
    return Terminal(folder / HISTORY, LineCompleter(Known(session).of), lambda: "\n".join(transfers.lines()))
