"""Several admins and a server decide about the same runs, in any order, beside a plain model of what comes of it.

Everybody has a connection of their own to the same file, as separate processes have.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rondo.base.errors import Conflict, RunAborted
from rondo.ledger import events, runs, turns
from rondo.ledger.ledger import Ledger, Tx, sqlite_url
from rondo.ledger.runs import Deployment, Package
from rondo.rounds.orders import TAKING_PART
from rondo.rounds.states import MOVES, OPEN

REFUSED = "refused"

LEAD = {"by": "lead", "event": ""}


@dataclass(frozen=True)
class Step:
    """Who does what, and the words that what is done may need."""

    what: str
    who: int
    number: int
    target: str
    state: str
    back: int
    chance: bool


# How often each is done, beside the others.
OFTEN = {
    "choose": 1, "deploy": 3, "discard": 1, "start": 3, "abort": 1, "invite": 5, "stop": 1, "take_back": 1,
    "give_up": 1, "prepare": 1, "go_on": 3,
}  # fmt: skip
STEPS = st.builds(
    Step,
    what=st.sampled_from([what for what, often in OFTEN.items() for _ in range(often)]),
    who=st.integers(0, 2),
    number=st.integers(1, 2),
    target=st.sampled_from(["server", "a", "b"]),
    state=st.sampled_from([state for state in MOVES if state != "submitted"]),
    back=st.sampled_from([0, 0, 1, 2]),
    chance=st.booleans(),
)


class Yard:
    """``runs``: id -> [number, state]. ``parts``: (run, client) -> state. ``deployed``: (number, target) -> what."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.ledgers = [Ledger(sqlite_url(folder / "ledger.db")) for _ in range(3)]
        for ledger in self.ledgers:
            runner.run(ledger.__aenter__())
        self.runs: dict[int, list[Any]] = {}
        self.parts: dict[tuple[int, str], str] = {}
        self.invited: dict[tuple[int, str], float] = {}
        self.deployed: dict[tuple[int, str], Deployment] = {}
        self.given: list[tuple[Deployment, Deployment | None]] = []
        self.number: int | None = None
        self.now = 1.0

    def close(self) -> None:
        for ledger in self.ledgers:
            self.runner.run(ledger.__aexit__())

    def do(self, who: int, decision: Callable[..., Any], *args: Any) -> Any:
        """What the decision returns, ``REFUSED`` where it is refused."""
        try:
            return self.runner.run(self.ledgers[who].do(decision, *args))
        except (Conflict, RunAborted):
            return REFUSED

    def take(self, step: Step) -> None:
        self.now += 1
        getattr(self, step.what)(step)
        self.runner.run(self.ledgers[(step.who + 1) % 3].do(self.compare))

    def open(self) -> list[int]:
        return [run for run, (_, state) in sorted(self.runs.items()) if state in OPEN]

    def takes_part(self, run: int, client: str) -> bool:
        return self.parts.get((run, client)) in TAKING_PART

    # ---- admins

    def choose(self, step: Step) -> None:
        known = any(step.number == number for number, _ in [*self.deployed, *self.runs.values()])
        found = self.do(step.who, turns.choose, step.number)
        assert found == (REFUSED if self.open() else known)
        if found != REFUSED:
            self.number = step.number

    def deploy(self, step: Step) -> None:
        if self.number is None:
            assert self.do(step.who, turns.number) == REFUSED
            return
        users = [run for run in self.open() if self.runs[run][0] == self.number]
        used = bool(users) if step.target == "server" else any(self.takes_part(run, step.target) for run in users)
        digest = f"blake3:{step.back}"
        self.do(step.who, runs.stage, Package("job", digest, 5, "lead", self.now))
        found = self.do(step.who, turns.deploy, self.now, "job", step.target)
        assert (found == REFUSED) == used
        if not used:
            self.given.append(found)
            self.deployed[self.number, step.target] = Deployment(self.number, step.target, "job", digest, 5, self.now)

    def take_back(self, step: Step) -> None:
        """A deployment did not reach its client; perhaps it is another's by now."""
        for lost, earlier in self.given[-step.back - 1 :]:
            if self.deployed.get((lost.number, lost.target)) == lost:
                del self.deployed[lost.number, lost.target]
                self.deployed |= {(lost.number, lost.target): earlier} if earlier else {}
            self.do(step.who, turns.undeploy, lost, earlier)

    def discard(self, step: Step) -> None:
        used = any(self.runs[run][0] == step.number for run in self.open())
        assert (self.do(step.who, turns.discard, step.number) == REFUSED) == used
        if not used:
            self.deployed = {key: value for key, value in self.deployed.items() if key[0] != step.number}

    def start(self, step: Step) -> None:
        run = self.do(step.who, turns.begin, self.now, _about(step.number), step.chance)
        assert (run == REFUSED) == (not step.chance and bool(self.open()))
        if run != REFUSED:
            assert run not in self.runs
            self.runs[run] = [step.number, "submitted"]

    def abort(self, step: Step) -> None:
        """The run under way, or one of the last."""
        run = None if step.chance else max(1, len(self.runs) - step.back)
        wanted = [one for one in self.open() if run in (None, one)]
        found = self.do(step.who, turns.abort, self.now, run, LEAD)
        assert found == REFUSED if not wanted else found.id == wanted[0]
        if wanted:
            self.runs[wanted[0]][1] = "aborted"

    def invite(self, step: Step) -> None:
        run, client = (self.open() or [0])[0], step.target
        fine = run and (self.runs[run][0], client) in self.deployed and not self.takes_part(run, client)
        found = self.do(step.who, turns.invite, self.now, client, 0, LEAD)
        assert found.id == run if fine else found == REFUSED
        if fine:
            self.parts[run, client] = "invited"
            self.invited[run, client] = self.now

    def stop(self, step: Step) -> None:
        client = step.target
        engaged = [run for run in self.open() if self.runs[run][1] != "submitted" and (run, client) in self.parts]
        fine = engaged and self.takes_part(engaged[0], client)
        assert self.do(step.who, turns.stop, self.now, client, LEAD) == (engaged[0] if fine else REFUSED)
        if fine:
            self.parts[engaged[0], client] = "stopped"

    def give_up(self, step: Step) -> None:
        """No reply: an admin takes the invitation back; or one who had invited before does, and comes too late."""
        for (run, client), at in self.invited.items():
            self.do(step.who, turns.withdraw, self.now, run, client, at - step.chance)
            if not step.chance and self.parts[run, client] == "invited":
                self.parts[run, client] = "stopped"

    # ---- the server, which plays the oldest run; it may have looked before an admin ended that

    def prepare(self, step: Step) -> None:
        for run, client in self.parts:
            if client == step.target and self.takes_part(run, client):
                self.do(step.who, runs.set_participant, (run, client), "prepared", self.now)
                self.parts[run, client] = "prepared"

    def go_on(self, step: Step) -> None:
        played = self.open() if step.chance else sorted(self.runs)[-1:]
        if not played:
            return
        run, state = played[0], step.state
        before = self.runs[run][1]
        moves = state in MOVES[before]
        if state in OPEN:
            row = self.do(step.who, runs.get, run)
            assert (self.do(step.who, turns.advance, self.now, row, state) == REFUSED) == (before not in OPEN)
        else:
            assert self.do(step.who, turns.end, self.now, run, state, None) == moves
        if moves:
            self.runs[run][1] = state

    # ---- what is always so

    def compare(self, tx: Tx) -> None:
        found = {run.id: run for run in runs.listed(tx)}
        assert {run: [row.number, row.state] for run, row in found.items()} == self.runs
        parts = {(run, part.client): part.state for run in self.runs for part in runs.taking_part(tx, run)}
        assert parts == self.parts
        wanted = [(number, target) for number in (1, 2) for target in ("server", "a", "b")]
        lying = {key: there for key in wanted if (there := runs.deployed(tx, *key))}
        assert lying == self.deployed
        told = events.after(tx, 0, limit=10_000)
        for run, row in found.items():
            path = [event.kind.removeprefix("run_") for event in told if event.run == run]
            assert path[0] == "submitted" and path[-1] == row.state, path
            assert all(after in MOVES[before] for before, after in pairwise(path)), path


def _about(number: int) -> dict[str, Any]:
    return {
        "number": number, "name": "job", "package": "blake3:x", "package_size": 5, "by": "lead", "invites": "named",
        "start_round": 0, "num_rounds": 3, "min_clients": 1, "max_clients": 9, "seed": "s",
    }  # fmt: skip


@settings(max_examples=12, phases=[Phase.generate])  # each example is a file: shrinking one would take minutes
@given(steps=st.lists(STEPS, min_size=60, max_size=60))
def test_whatever_several_decide_has_one_defined_outcome(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        yard = Yard(Path(folder), runner)
        try:
            for step in steps:
                yard.take(step)
        finally:
            yard.close()
