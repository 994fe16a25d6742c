"""A person's terminal: editing, history, completion, and a bar below the line for what goes on meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from rondo.base.disk import disk_errors
from rondo.console.lines import Interrupted

BAR_PACE = 0.1  # seconds between two pictures of the bar


class Terminal:
    """``history``: a file that only its owner may read; ``bar``: what stands below the line, "" for no bar."""

    interactive = True

    def __init__(
        self, history: Path | None = None, completer: Completer | None = None, bar: Callable[[], str] = str
    ) -> None:
        if history is not None:
            with disk_errors(history, "write"):
                os.close(os.open(history, os.O_WRONLY | os.O_CREAT, 0o600))
        kept = FileHistory(str(history)) if history is not None else InMemoryHistory()
        self._bar = bar
        self._commands: PromptSession[str] = PromptSession(
            history=kept, completer=completer, complete_while_typing=False, interrupt_exception=Interrupted
        )
        self._commands.app.min_redraw_interval = BAR_PACE
        self._questions: PromptSession[str] = PromptSession(interrupt_exception=Interrupted)

    async def ask(self, prompt: str, *, remember: bool = False) -> str:
        session = self._commands if remember else self._questions
        self.redraw()
        with patch_stdout(raw=True):  # what is told meanwhile stands above the line
            # SIGINT is the console's: the key comes as a key.
            return await session.prompt_async(prompt, handle_sigint=False)

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def redraw(self) -> None:
        self._commands.bottom_toolbar = (lambda: ANSI(self._bar())) if self._bar() else None
        self._commands.app.invalidate()
