"""A client may say what it likes as often as it likes; what the ledger keeps of it is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rondo.base.clock import ManualClock
from rondo.ledger import events, rounds
from rondo.ledger.sessions import Session
from rondo.pki.kit import Kit
from rondo.server.notes import MOST, PROGRESS, WORDS, Ration
from rondo.server.reports import Reports
from rondo.wire import rondo_pb2 as pb
from tests.ledger.rows import add_round
from tests.server.house import House, house

OFTEN = PROGRESS[1]


class Talk:
    """A client that takes part in the open round of a run."""

    def __init__(self, made: House, clock: ManualClock, session: Session, reports: Reports, run: int) -> None:
        self.made, self.clock, self.session, self.reports, self.run = made, clock, session, reports, run

    async def says(self, phase: str, share: float, round_number: int = 0) -> bool:
        progress = pb.Progress(phase=phase, fraction=share)
        report = pb.Report(run=self.run, round=round_number, progress=progress)
        return (await self.reports.take(self.session, report)).counted

    async def kept(self, kind: str = "progress") -> list[Any]:
        found = await self.made.store.read(events.after, 0, None, 10_000)
        return [event.data for event in found if event.kind == kind]

    async def notes(self) -> list[tuple[str, float]]:
        return [(data["phase"], data["fraction"]) for data in await self.kept()]


@pytest.fixture
async def talk(tmp_path: Path, kit: Kit) -> AsyncIterator[Talk]:
    clock = ManualClock(100.0)
    async with house(tmp_path / "w", clock=clock) as made:
        run, _, _ = await made.store.do(add_round)
        yield Talk(made, clock, await made.client("a"), made.reports(kit), run)


async def test_of_a_phase_the_first_note_and_the_last_are_kept(talk: Talk) -> None:
    for phase in ("training", "uploading"):
        for step in range(101):
            talk.clock.advance(2 * OFTEN)
            assert await talk.says(phase, step / 100)
    assert await talk.notes() == [("training", 0.0), ("training", 1.0), ("uploading", 0.0), ("uploading", 1.0)]


async def test_notes_that_come_too_soon_are_not_written_but_the_end_of_a_phase_is(talk: Talk) -> None:
    assert await talk.says("training", 0.0)
    assert not await talk.says("training", 0.5)
    assert await talk.says("training", 1.0)
    assert await talk.says("uploading", 0.0)
    talk.clock.advance(2 * OFTEN)
    assert await talk.says("uploading", 0.5)
    assert await talk.notes() == [("training", 0.0), ("training", 1.0), ("uploading", 0.0), ("uploading", 0.5)]


async def test_no_client_fills_the_ledger_with_phases_or_ends(talk: Talk) -> None:
    written = 0
    for number in range(500):
        written += await talk.says(f"phase {number}", 0.0)
        written += await talk.says("the end", 1.0)
    assert written == PROGRESS[0]  # more are not taken at once
    for number in range(500):
        talk.clock.advance(2 * OFTEN)
        written += await talk.says(f"phase {number}", 0.0)
    assert written == PROGRESS[0] + 500
    assert await talk.notes() == [(f"phase {number}", 0.0) for number in range(500 - MOST, 500)]
    other = await talk.made.client("b")
    report = pb.Report(run=talk.run, progress=pb.Progress(phase="training"))
    assert (await talk.reports.take(other, report)).counted, "others are not held up by it"


async def test_who_takes_no_part_writes_nothing(talk: Talk) -> None:
    talk.session = await talk.made.client("stranger")
    for share in (0.0, 1.0, 1.0, 1.0):
        assert not await talk.says("training", share)
    assert await talk.kept() == []


async def test_refusals_are_written_down_within_reason_and_answered_always(talk: Talk, kit: Kit) -> None:
    late = pb.Report(run=talk.run, round=7, measured=pb.Measured(samples=1.0))
    for _ in range(WORDS[0] + 30):
        answer = await talk.reports.take(talk.session, late)
        assert not answer.counted and "round 7" in answer.reason
    assert len(await talk.kept("update_refused")) == WORDS[0]
    talk.clock.advance(2 * WORDS[1])
    for _ in range(5):
        await talk.reports.take(talk.session, late)
    assert len(await talk.kept("update_refused")) == WORDS[0] + 2


async def test_a_failure_is_told_once_a_round_and_participation_within_reason(talk: Talk) -> None:
    failed = pb.Report(run=talk.run, round=0, task_failed=pb.Failure(error="no data"))
    answers = [(await talk.reports.take(talk.session, failed)).counted for _ in range(5)]
    assert answers == [True, False, False, False, False]
    assert [data["error"] for data in await talk.kept("task_failed")] == ["no data"]
    assert await talk.made.store.read(rounds.declined, (talk.run, 0, "train")) != {}
    for _ in range(WORDS[0] + 30):
        for report in (pb.Report(run=talk.run, prepared=pb.Prepared()), pb.Report(run=talk.run, stopped=pb.Stopped())):
            assert (await talk.reports.take(talk.session, report)).counted
    told = Counter(event.kind for event in await talk.made.store.read(events.after, 0, None, 10_000))
    assert told["client_prepared"] + told["client_stopped"] == WORDS[0]


def test_a_ration_comes_back_with_time() -> None:
    clock = ManualClock()
    ration = Ration(clock, 3, 2.0)
    assert [ration.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert ration.take("b")
    clock.advance(4.0)
    assert [ration.take("a") for _ in range(3)] == [True, True, False]
    clock.advance(1000.0)
    assert [ration.take("a") for _ in range(4)] == [True, True, True, False]
