"""The error tree: split by whose fault it is, because that decides who should act.

    RondoError
    ├── YourFault            what was asked for cannot be done as asked
    │   ├── BadInput         a file, option or message is malformed           exit 3
    │   ├── Refused          not allowed: identity, rights, policy            exit 4
    │   ├── SiteRefused      a site's own policy does not allow it there      exit 4
    │   ├── NotFound         no such run, site, file, command                 exit 5
    │   └── Conflict         the state of things does not permit it now       exit 6
    ├── TheirFault           the other side misbehaved or is not there
    │   ├── Unreachable      no answer, broken connection                     exit 7
    │   └── ProtocolBroken   an answer that the protocol does not allow       exit 7
    ├── RunFailed            the run ended in failure (see its first error)   exit 8
    ├── RunAborted           somebody ended the run                           exit 9
    ├── GaveUp               patience ran out (Clara's retry_timeout)         exit 10
    └── MachineFault         this machine: disk, memory, ledger
        ├── NoSpace          disk full or not writable                        exit 11
        ├── LedgerBusy       the database is locked or broken                 exit 11
        └── WorkerDied       a worker process ended without an answer         exit 11

Exit codes are stable: scripts may rely on them. 0 is success, 1 a defect of ours, 2 wrong usage of the command
line. Every message says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RondoError(Exception):
    """Base of every error that Rondo raises on purpose.

    ``what`` is one sentence; ``where`` names the file, key, tensor or site; ``hint`` says what to do;
    ``detail`` may hold a foreign traceback or the last lines of a log.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.detail = detail

    @property
    def code(self) -> str:
        """Stable name of the kind of error, as it travels on the wire."""
        return type(self).__name__

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text


class YourFault(RondoError):
    exit_code = 3


class BadInput(YourFault):
    exit_code = 3


class Refused(YourFault):
    exit_code = 4


class SiteRefused(YourFault):
    exit_code = 4


class NotFound(YourFault):
    exit_code = 5


class Conflict(YourFault):
    exit_code = 6


class TheirFault(RondoError):
    exit_code = 7


class Unreachable(TheirFault):
    exit_code = 7


class ProtocolBroken(TheirFault):
    exit_code = 7


class RunFailed(RondoError):
    """``failure`` is the first one: error, site, round, traceback, file, line, last_lines, as far as known."""

    exit_code = 8

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", detail: str = "", failure: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(what, where=where, hint=hint, detail=detail)
        self.failure = dict(failure or {})

    @classmethod
    def of(cls, failure: Mapping[str, Any]) -> RunFailed:
        """The error that a stored failure stands for."""
        where = f"{failure.get('file')}:{failure.get('line')}" if failure.get("file") else ""
        site = str(failure.get("site") or "")
        detail = str(failure.get("traceback") or failure.get("last_lines") or "")
        what = f"{site}: {failure.get('error', 'failed')}" if site else str(failure.get("error", "failed"))
        return cls(what, where=where, detail=detail, failure=failure)


class RunAborted(RondoError):
    exit_code = 9


class GaveUp(RondoError):
    exit_code = 10


class MachineFault(RondoError):
    exit_code = 11


class NoSpace(MachineFault):
    exit_code = 11


class LedgerBusy(MachineFault):
    exit_code = 11


class WorkerDied(MachineFault):
    exit_code = 11


def by_code(code: str, what: str, *, where: str = "", hint: str = "", detail: str = "") -> RondoError:
    """The error that was sent as ``code``; an unknown code becomes a plain ``RondoError``."""
    kinds: dict[str, type[RondoError]] = {}
    queue: list[type[RondoError]] = [RondoError]
    while queue:
        kind = queue.pop()
        kinds[kind.__name__] = kind
        queue.extend(kind.__subclasses__())
    return kinds.get(code, RondoError)(what, where=where, hint=hint, detail=detail)
