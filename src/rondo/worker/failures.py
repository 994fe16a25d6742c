"""What went wrong in user code, told for the person who wrote it: one line, the traceback from their code on."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from rondo.base.errors import RondoError

_MOST = 64 * 1024  # characters of a traceback that travel; the log has it whole


def failure(error: BaseException, code: Path | None) -> dict[str, Any]:
    """The fields ``error``, ``kind``, ``traceback``, ``file``, ``line`` of a "failed" answer.

    ``kind`` names a Rondo error ("BadInput", "NoSpace"); it is empty for any other. ``file`` and ``line`` are those
    of a syntax error, else of the innermost frame in the job folder ``code``, else of the innermost frame; ``file``
    is relative to ``code`` where it lies in it.
    """
    users = _users_part(error.__traceback__, code)
    kind = error.code if isinstance(error, RondoError) else ""
    if kind and users is None:  # its sentence says all: nobody needs to see where in Rondo it was raised
        return {"error": str(error), "kind": kind, "traceback": "", "file": "", "line": 0}
    lines = traceback.format_exception(type(error), error, users or error.__traceback__)
    text = "".join(lines)
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]}\n[... cut ...]\n{text[-_MOST // 2 :]}"
    file, line = _place(error, users, code)
    told = {"error": _one_line(error), "traceback": text, "file": file}
    # Names of files and what users say may hold what is no text.
    return {name: value.encode(errors="replace").decode() for name, value in told.items()} | {
        "kind": kind,
        "line": line,
    }


def failed(text: str) -> dict[str, Any]:
    """A "failed" answer of one sentence, for what nobody's code has raised."""
    return {"say": "failed", "error": text, "kind": "", "traceback": "", "file": "", "line": 0}


def _one_line(error: BaseException) -> str:
    match error:
        case RondoError():
            return str(error)
        case SystemExit():
            return f"user code called sys.exit({error.code!r})"
        case KeyboardInterrupt():
            return "user code raised KeyboardInterrupt"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return "".join(traceback.format_exception_only(error)).splitlines()[0][:2000]


def _place(error: BaseException, users: TracebackType | None, code: Path | None) -> tuple[str, int]:
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return _shown(error.filename, code), error.lineno or 0
    place = ("", 0)
    step = users or error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if users is None or _inside(file, code):
            place = _shown(file, code), step.tb_lineno
        step = step.tb_next
    return place


def _users_part(step: TracebackType | None, code: Path | None) -> TracebackType | None:
    """The traceback from the first frame of the job folder on; ``None`` where there is none."""
    while step is not None and not _inside(step.tb_frame.f_code.co_filename, code):
        step = step.tb_next
    return step


def _inside(file: str, code: Path | None) -> bool:
    return code is not None and not file.startswith("<") and Path(file).resolve().is_relative_to(code)


def _shown(file: str, code: Path | None) -> str:
    return str(Path(file).resolve().relative_to(code)) if code is not None and _inside(file, code) else file
