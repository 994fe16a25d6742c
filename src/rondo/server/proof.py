"""Whether a server's audit log is whole: the file's chain, the ledger's, and that they say the same.

Reads both and writes nothing: the server may run meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rondo.base.chain import Chain, Head, Link
from rondo.base.journal import LOG, Fault, Place, examine
from rondo.ledger import audit
from rondo.ledger.ledger import Tx
from rondo.ledger.reading import read_ledger

LATE = 10.0  # seconds that an entry may take from the ledger to the file


@dataclass(frozen=True)
class Proof:
    """What was found: ``head`` of the file; ``faults`` in the order of the file, then of the ledger; ``notes``: what
    is as it should be and worth a word."""

    head: Head
    faults: list[Fault]
    notes: list[str] = field(default_factory=list)


def prove_server(workspace: Path, url: str, now: float) -> Proof:
    """``url`` of the ledger, "" for the workspace's SQLite. Raises ``NotFound`` where there is no ledger,
    ``LedgerBusy``, ``BadInput``."""

    def look(tx: Tx) -> Proof:
        compared = _Comparison(audit.everything(tx))
        head, faults = examine(workspace, compared.seen)
        return compared.proof(head, faults, now)

    return read_ledger(workspace / "ledger.db", url, look)


class _Comparison:
    """The ledger's entries, walked through beside the file's lines."""

    def __init__(self, rows: Iterator[Link]) -> None:
        self._rows = rows
        self._chain: Chain | None = None
        self._row: Link | None = None
        self._differed = False
        self._faults: list[Fault] = []
        self._first = 0
        self._next()

    def _next(self) -> None:
        self._row = next(self._rows, None)
        if self._row is None:
            return
        if self._chain is None:  # a ledger that was begun anew goes on from the file's last entry
            self._first = self._row.head.number
            self._chain = Chain(known=self._first == 1)
        _, wrong = self._chain.take(self._row.line.encode())
        if wrong:
            number = self._row.head.number
            self._faults.append(Fault(f"ledger, entry {number}", self._row.entry.event, wrong))

    def seen(self, link: Link, _: Place) -> str:
        """What the ledger has against this line of the file; of lines in a row that differ, against the first."""
        wrong = self._against(link)
        known, self._differed = self._differed, bool(wrong)
        return "" if known else wrong

    def _against(self, link: Link) -> str:
        number = link.head.number
        while self._row is not None and self._row.head.number < number:  # the file's own chain misses it
            self._next()
        row = self._row
        if number < self._first:
            return ""  # of an earlier ledger
        if row is None or row.head.number > number:
            return f"the ledger has no entry {number}"
        self._next()
        return "" if row.head == link.head else f"the ledger's entry {number} is another one (event {row.entry.event})"

    def proof(self, head: Head, faults: list[Fault], now: float) -> Proof:
        """Once the file is at its end."""
        lacking: Link | None = None
        count = 0
        while self._row is not None:
            if self._row.head.number > head.number:
                lacking, count = lacking or self._row, count + 1
            self._next()
        notes = []
        if self._first > 1:
            notes.append(f"the ledger begins with entry {self._first}: what was before was in an earlier one")
        if lacking is not None and now - lacking.entry.at <= LATE:
            notes.append(f"{count} entries are on their way from the ledger to the file")
        elif lacking is not None:
            what = (
                f"{count} entries, from {lacking.head.number} on, are in the ledger only: the file was cut, or the "
                "server was killed before it wrote them (then its next start does)"
            )
            faults = [*faults, Fault(f"{LOG}, the end", lacking.entry.event, what)]
        return Proof(head, [*faults, *self._faults], notes)
