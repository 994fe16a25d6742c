"""What was found wrong or odd with a job, all of it, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from rondo.base.errors import BadInput
from rondo.jobs.placed import Place

MOST = 200


@dataclass(frozen=True)
class Finding:
    """An ``error`` keeps the job from running; a ``warning`` says what was done about something odd."""

    level: Literal["error", "warning"]
    what: str
    where: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        return f"{text} ({self.hint})" if self.hint else text


@dataclass
class Findings:
    """Filled while a job is read; at most ``MOST`` are kept."""

    found: list[Finding] = field(default_factory=list)

    def error(self, what: str, where: Place | str, hint: str = "") -> None:
        """Something that keeps the job from running."""
        self._add(Finding("error", what, str(where), hint))

    def warn(self, what: str, where: Place | str, hint: str = "") -> None:
        """Something odd, and what was done about it."""
        self._add(Finding("warning", what, str(where), hint))

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """A ``BadInput`` raised inside becomes an error here, and what stands inside ends."""
        try:
            yield
        except BadInput as error:
            self.collect(error)

    def collect(self, error: BadInput) -> None:
        """``error`` as one of them."""
        self._add(Finding("error", error.what, error.where, error.hint))

    def add(self, findings: Iterable[Finding]) -> None:
        """What somebody else has found."""
        for finding in findings:
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        if len(self.found) < MOST and finding not in self.found:
            self.found.append(finding)

    @property
    def errors(self) -> list[Finding]:
        """Those that keep the job from running."""
        return [one for one in self.found if one.level == "error"]

    def raise_first(self) -> None:
        """Raises ``BadInput`` with the first error, and how many more there are."""
        errors = self.errors
        if errors:
            first, more = errors[0], len(errors) - 1
            hint = "; ".join(filter(None, (first.hint, f"and {more} more: rondo mmar check" if more else "")))
            raise BadInput(first.what, where=first.where, hint=hint)
