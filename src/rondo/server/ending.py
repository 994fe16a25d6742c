"""How a run ends that did not finish: which state, and the first real failure for whoever asks."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from rondo.base.errors import MachineFault, RondoError, RunAborted, RunFailed, WorkerDied, by_code
from rondo.rounds.orders import failure
from rondo.worker.host import TaskFailed

log = logging.getLogger("rondo.runs")


def see_no_machine_fault(error: RondoError) -> None:
    """Raises ``MachineFault`` where ``error`` is one, or a worker has met one: its disk is this machine's."""
    fault = by_code(error.kind, error.what) if isinstance(error, TaskFailed) else error
    if isinstance(fault, MachineFault):
        raise fault


def ended_by(error: Exception, last_try: bool) -> tuple[str, dict[str, Any]]:
    """State and failure of a run that ``error`` ends.

    Raises ``MachineFault`` for a fault of this machine, which ends nothing (but for a worker's death on the last try).
    """
    match error:
        case RunAborted():
            return "aborted", failure(error.what)
        case RunFailed():
            return "failed", error.failure
        case TaskFailed():
            see_no_machine_fault(error)
            detail = {"traceback": error.traceback, "file": error.file, "line": error.line}
            return "failed", failure(error.error, site="server", detail=detail | {"last_lines": error.last_lines})
        case MachineFault() if not (last_try and isinstance(error, WorkerDied)):
            raise error
        case RondoError():
            log.error("the run fails: %s", error)
            return "failed", failure(str(error), site="server", detail={"traceback": error.detail})
    trace = "".join(traceback.format_exception(error))
    log.error("a defect of the server\n%s", trace)
    return "failed", failure(f"a defect of the server: {error!r}", site="server", detail={"traceback": trace})
