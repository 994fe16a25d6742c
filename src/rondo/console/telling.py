"""Events in words, one plain line each; and reading of what strangers may have written into them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

Data = Mapping[str, Any]
Mark = Literal["", "good", "bad", "line"]

LONGEST = 400  # characters of a line that are kept
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")


def clean(words: str) -> str:
    """One printable line: no escape sequence or control character reaches the terminal of whoever watches."""
    plain = _ESCAPES.sub("", words[: 4 * LONGEST])
    line = "".join(char if char.isprintable() else " " for char in plain).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def text(data: Any, key: str) -> str:
    """A printable string, "" where there is none."""
    value = data.get(key)
    return clean(value) if isinstance(value, str) else ""


def real(data: Any, key: str) -> float:
    """A finite number, 0 where there is none."""
    value = data.get(key)
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else 0.0


def whole(data: Any, key: str) -> int:
    """An integer, 0 where there is none."""
    value = data.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def figures(metrics: Any, first: str = "") -> str:
    """``auc 0.934, loss 0.21``: the metric that counts, then the others by name; at most four."""
    if not isinstance(metrics, Mapping):
        return ""
    names = sorted((str(name) for name in metrics), key=lambda name: (name != first, name))
    return ", ".join(f"{clean(name)} {real(metrics, name):.4g}" for name in names[:4])


def telling(kind: str, data: Data, metric: str = "") -> tuple[str, Mark]:
    """What to say of an event, and how it is marked; "" where there is nothing to say.

    Progress, waits and the best model so far are shown elsewhere: a round is one line.
    """
    say = _SAY.get(kind)
    return say(data, metric) if say is not None else ("", "")


def _submitted(data: Data, _: str) -> tuple[str, Mark]:
    return f"job {text(data, 'job')} submitted by {text(data, 'by') or 'an admin'}", ""


def _running(data: Data, _: str) -> tuple[str, Mark]:
    return f"training begins: rounds {whole(data, 'round')} to {whole(data, 'rounds') - 1}", ""


def _committed(data: Data, metric: str) -> tuple[str, Mark]:
    contributors = data.get("contributors")
    count = len(contributors) if isinstance(contributors, list | tuple) else 0
    what = "final validation" if text(data, "task") == "validate" else f"round {whole(data, 'round')}"
    shown = figures(data.get("metrics"), metric)
    start = f"{what} is done: {shown}" if shown else f"{what} is done"
    return f"{start} ({count} {'client' if count == 1 else 'clients'}, {real(data, 'seconds'):.1f} s)", ""


def _refused(data: Data, _: str) -> tuple[str, Mark]:
    return f"{text(data, 'client')}: update refused: {text(data, 'reason')}", "bad"


def _troubled(what: str) -> Callable[[Data, str], tuple[str, Mark]]:
    return lambda data, _: (f"{text(data, 'client')} {what}: {text(data, 'error') or 'no reason given'}", "bad")


def _client(what: str, mark: Mark = "") -> Callable[[Data, str], tuple[str, Mark]]:
    def say(data: Data, _: str) -> tuple[str, Mark]:
        reason = text(data, "reason")
        return f"{text(data, 'client')} {what}{f': {reason}' if reason else ''}", mark

    return say


def _failed(data: Data, _: str) -> tuple[str, Mark]:
    where = f" at {text(data, 'site')}" if text(data, "site") else ""
    if whole(data, "round") >= 0 and "round" in data:
        where += f" in round {whole(data, 'round')}"
    return f"the run failed{where}: {text(data, 'error')}", "bad"


def _aborted(data: Data, _: str) -> tuple[str, Mark]:
    return f"the run was aborted: {text(data, 'reason') or text(data, 'error') or 'no reason given'}", "bad"


def _plain(words: str, mark: Mark = "") -> Callable[[Data, str], tuple[str, Mark]]:
    return lambda data, _: (words, mark)


_SAY: Mapping[str, Callable[[Data, str], tuple[str, Mark]]] = {
    "run_submitted": _submitted,
    "run_dispatching": _plain("the job goes to every client, which prepares it"),
    "run_running": _running,
    "run_validating": _plain("every client rates the last model"),
    "run_failed": _failed,
    "run_aborted": _aborted,
    "round_committed": _committed,
    "update_refused": _refused,
    "client_joined": _client("joined"),
    "client_not_invited": _client("is not invited", "bad"),
    "client_prepared": _client("is prepared"),
    "client_failed": _troubled("cannot prepare"),
    "task_failed": _troubled("sits the round out"),
    "client_stopped": _client("was stopped", "bad"),
    "client_gone": _client("is gone", "bad"),
    "client_away": _client("is away", "bad"),
    "client_back": _client("is back", "good"),
    "worker_line": lambda data, _: (f"[{text(data, 'client')}] {text(data, 'text')}", "line"),
    "nothing_to_do": lambda data, _: (text(data, "text"), ""),
    "recovered": lambda data, _: (text(data, "text"), "good"),
}
