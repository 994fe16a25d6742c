"""Where one command's words go: to the screen, to a file, or to both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from rondo.base.disk import disk_errors
from rondo.base.errors import BadInput
from rondo.console.redirect import Redirect


class Output:
    """``say``: shows a text. What goes wrong is always shown, wherever the rest goes.

    ``heading``: what is to stand over the words on the screen, once there are any.
    """

    def __init__(self, say: Callable[[str], None], redirect: Redirect | None) -> None:
        self.heading = ""
        self._say = say
        self._show = redirect is None or redirect.show
        self._file = _opened(redirect) if redirect is not None else None

    @property
    def on_screen(self) -> bool:
        """The screen alone gets it."""
        return self._file is None

    def write(self, text: str) -> None:
        if self._show:
            self._tell(text)
        self._keep(text)

    def trouble(self, text: str) -> None:
        self._tell(text)
        self._keep(text)

    def _tell(self, text: str) -> None:
        if self.heading:
            self._say(self.heading)
            self.heading = ""
        self._say(text)

    def _keep(self, text: str) -> None:
        if self._file is not None:
            with disk_errors(Path(self._file.name), "write"):
                self._file.write(f"{text}\n")

    def close(self) -> None:
        """Raises ``NoSpace`` where the file cannot be written to its end."""
        if self._file is not None:
            with disk_errors(Path(self._file.name), "write"):
                self._file.close()


def _opened(redirect: Redirect) -> IO[str]:
    path = Path(redirect.path).expanduser()
    try:
        return path.open("a" if redirect.add else "w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write there: {error.strerror}", where=redirect.path) from None
