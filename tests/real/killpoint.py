"""``python -m tests.real.killpoint POINT NTH server start KIT``: Rondo itself, which kills itself (SIGKILL) at POINT.

A point is a place in the real program, before or after a real function; the process dies there at the NTH time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

# point: (module, name in it, where: before or after the call, or after the first chunk of a stream)
POINTS = {
    # the server, in the order of a round
    "before the task is handed out": ("rondo.server.gateway", "work_of", "before"),
    "while a model goes down": ("rondo.server.gateway", "read_chunks", "chunk"),
    "while an update comes up": ("rondo.server.intake", "Intake._moving", "chunk"),
    "after it is spooled": ("rondo.server.intake", "Intake._count", "before"),
    "before it is acknowledged": ("rondo.server.intake", "Intake._count", "after"),
    "while folding": ("rondo.server.rounds", "TrainingRound._fold_files", "before"),
    "after folding": ("rondo.server.rounds", "TrainingRound._fold_files", "after"),
    "before the commit": ("rondo.server.models", "Models._close", "before"),
    "after the commit": ("rondo.server.models", "Models.commit", "after"),
    # a client
    "before it pulls": ("rondo.client.tasks", "Engagement._task", "before"),
    "while it pulls": ("rondo.net.part", "Part.append", "before"),
    "after it pulled": ("rondo.client.tasks", "Engagement._model", "after"),
    "before it sends": ("rondo.client.tasks", "Engagement._send", "before"),
    "while it sends": ("rondo.net.transfer", "read_chunks", "chunk"),
    "after it sent": ("rondo.client.tasks", "Engagement._send", "after"),
}
# before there is a run
AT_LOG_IN = {
    "before a log-in is answered": ("rondo.server.gateway", "Gateway.register", "after"),
    "before the answer to its log-in is kept": ("rondo.client.app", "Client._take", "before"),
}
# after training: cross-site validation
CROSSING = {
    "before local models are made": ("rondo.server.crossing", "CrossRound._make", "before"),
    "before cross-site validation is committed": ("rondo.server.crossing", "CrossRound._end", "before"),
    "after cross-site validation is committed": ("rondo.server.crossing", "CrossRound.commit", "after"),
}
# between what makes a file needless and its removal
LEAVING = {
    "before a package is staged": ("rondo.ledger.runs", "stage", "before"),
    "after a model went into the store": ("rondo.server.models", "Models._model", "before"),
    "before older models are deleted": ("rondo.server.models", "Models._tidy", "before"),
    "before updates are dropped": ("rondo.server.rounds", "drop_updates", "before"),
    "before a run is swept": ("rondo.server.runs", "sweep_after", "before"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plant(point: str, nth: int) -> None:
    """Put the end of this process into the program."""
    module_name, name, where = (POINTS | AT_LOG_IN | CROSSING | LEAVING)[point]
    owner: Any = import_module(module_name)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, _deadly(getattr(owner, last), where, nth))


def _deadly(real: Callable[..., Any], where: str, nth: int) -> Callable[..., Any]:
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls == nth

    kinds = {"chunk": _chunks, "before": _before, "after": _after}
    return wraps(real)(kinds[where](real, due))


def _chunks(real: Callable[..., Any], due: Callable[[], bool]) -> Callable[..., Any]:
    async def chunks(*args: Any, **kwargs: Any) -> Any:
        now = due()
        async for chunk in real(*args, **kwargs):
            yield chunk
            if now:
                die()

    return chunks


def _before(real: Callable[..., Any], due: Callable[[], bool]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        if due():
            die()
        return real(*args, **kwargs)

    return called


def _after(real: Callable[..., Any], due: Callable[[], bool]) -> Callable[..., Any]:
    async def waited(*args: Any, **kwargs: Any) -> Any:
        now = due()
        answer = await real(*args, **kwargs)
        if now:
            die()
        return answer

    return waited


if __name__ == "__main__":
    plant(sys.argv[1], int(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    from rondo.cli.main import main

    main()
