"""Random operations on the ledger beside a plain record of what must have become of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rondo.ledger import asks, events, models, rounds, runs
from rondo.ledger.ledger import Ledger, Tx
from tests.ledger.rows import JOB, add_model, add_run, ask, contribution

CLIENTS = st.sampled_from("abc")


class Books:
    """A ledger in memory, used one operation after the other."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._ledger = Ledger("sqlite://")
        self._runner.run(self._ledger.__aenter__())

    def do(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._runner.run(self._ledger.do(operation, *args, **kwargs))

    def close(self) -> None:
        self._runner.run(self._ledger.__aexit__())
        self._runner.close()

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RoundsMachine(RuleBasedStateMachine):
    """The rounds of one run: what is accepted counts, once, in its round, until the round is closed."""

    @initialize()
    def begin(self) -> None:
        self.books = Books()
        self.run = self.books.do(add_run)
        self.part = dict.fromkeys("abc", "")
        self.number = -1
        self.state = ""
        self.counted: dict[int, set[str]] = {}
        self.fixed: dict[int, set[str]] = {}
        self.out: dict[int, dict[str, str]] = {}

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()

    def key(self, number: int | None = None) -> rounds.Key:
        return self.run, self.number if number is None else number, "train"

    @rule(client=CLIENTS)
    def is_invited(self, client: str) -> None:
        self.books.do(runs.invite, self.run, client, JOB, 1.0)
        self.part[client] = "invited"

    @rule(client=CLIENTS, state=st.sampled_from(["prepared", "failed", "stopped"]))
    def changes(self, client: str, state: str) -> None:
        allowed = self.part[client] not in ("", "stopped")
        assert self.books.do(runs.set_participant, (self.run, client), state, 2.0) == allowed
        if allowed:
            self.part[client] = state

    @precondition(lambda self: self.state in ("", "committed"))
    @rule(now=st.floats(0, 100))
    def the_next_round_opens(self, now: float) -> None:
        self.number, self.state = self.number + 1, "open"
        self.books.do(rounds.open_round, self.key(), self.number, now)
        self.counted[self.number], self.out[self.number] = set(), {}

    @precondition(lambda self: self.number >= 0)
    @rule()
    def a_server_comes_back(self) -> None:
        found = self.books.do(rounds.open_round, self.key(), self.number, 1e9)
        assert found.state == self.state and found.opened_at <= 100

    @rule(client=CLIENTS, ahead=st.sampled_from([0, 0, 0, 0, -1, 1]))
    def sends(self, client: str, ahead: int) -> None:
        number = self.number + ahead
        reason = self.books.do(rounds.accept, contribution(self.key(number), client))
        takes_part = self.part[client] not in ("", "stopped")
        counts = takes_part and self.state == "open" and not ahead and client not in self.counted[number]
        assert (reason == "") == counts, reason
        assert counts or reason.startswith("Contribution refused: ")
        if counts:
            self.counted[number].add(client)

    @precondition(lambda self: self.number >= 0)
    @rule(client=CLIENTS, why=st.sampled_from(["broken", "no memory"]))
    def sits_out(self, client: str, why: str) -> None:
        known = client in self.counted[self.number] or client in self.out[self.number]
        assert self.books.do(rounds.decline, self.key(), client, {"error": why}, 3.0) != known
        if not known:
            self.out[self.number][client] = why

    @precondition(lambda self: self.state in ("open", "folding"))
    @rule()
    def is_closed(self) -> None:
        kept = self.books.do(rounds.close_round, self.key())
        assert {one.client for one in kept} == self.counted[self.number]
        assert [one.client for one in kept] == sorted(self.counted[self.number])
        self.state = "folding"
        self.fixed.setdefault(self.number, set(self.counted[self.number]))

    @precondition(lambda self: self.state == "folding")
    @rule()
    def is_committed(self) -> None:
        self.books.do(rounds.end_round, self.key(), "committed", 5.0)
        self.state = "committed"

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        if self.number >= 0:
            self.books.do(self.compare)

    def compare(self, tx: Tx) -> None:
        current = rounds.current(tx, self.run)
        assert current and (current.round, current.state) == (self.number, self.state)
        for number, clients in self.counted.items():
            assert {one.client for one in rounds.accepted(tx, self.key(number))} == clients
            assert self.fixed.get(number, clients) == clients, "a closed round changed"
        told = {client: why["error"] for client, why in rounds.declined(tx, self.key()).items()}
        assert told == self.out[self.number]
        every = [(number, client) for number, clients in self.counted.items() for client in sorted(clients)]
        done = [(number, client) for number, client in every if number < self.number or self.state == "committed"]
        assert [(one.round, one.client) for one in rounds.of_number(tx, 1)] == done
        assert {(row["round"], row["client"]) for row in rounds.metric_rows(tx, self.run)} == set(every)
        mine = {client: [number for number, other in every if other == client] for _, client in every}
        assert rounds.counts(tx, self.run) == {client: (max(own), len(own)) for client, own in mine.items()}


TestRounds = RoundsMachine.TestCase
TestRounds.settings = settings(max_examples=20, stateful_step_count=20)


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "answer", "end", "look"]), st.sampled_from(["q1", "q2"]), CLIENTS))


@settings(max_examples=30)
@given(steps=STEPS)
def test_a_question_is_answered_once_until_its_end(steps: list[tuple[str, str, str]]) -> None:
    asked = {"q1": "a", "q2": "b"}
    answers: dict[str, str] = {}
    ended: set[str] = set()
    begun: set[str] = set()
    with Books() as books:
        for name, client in asked.items():
            books.do(asks.put, ask(name, client))
        for number, (what, name, client) in enumerate(steps):
            over = name in ended or name in answers
            if what == "begin":
                begins = books.do(asks.begin, name, client)
                assert begins == (not over and client == asked[name])
                begun |= {name} if begins else set()
            elif what == "answer":
                counts = books.do(asks.answer, name, client, {"text": str(number)})
                assert counts == (not over and client == asked[name])
                if counts:
                    answers[name] = str(number)
            elif what == "end":
                assert books.do(asks.end, name) == (name in begun and not over)
                ended.add(name)
            found = books.do(asks.answered, name)
            assert (found and found.answer["text"]) == (None if name in ended else answers.get(name))
            left = [one for one in asked if asked[one] == client and one not in answers and one not in ended]
            pending = books.do(asks.pending, client, [])
            assert (pending and pending.id) == (left[0] if left else None)


VERSIONS = st.dictionaries(st.tuples(st.integers(0, 1), st.integers(0, 4)), st.sampled_from("xyz"), max_size=10)


@settings(max_examples=30)
@given(versions=VERSIONS, forgets=st.lists(st.tuples(st.integers(0, 1), st.sets(st.integers(0, 4))), max_size=4))
def test_a_file_is_dropped_when_the_last_version_that_needs_it_is_forgotten(
    versions: dict[tuple[int, int], str], forgets: list[tuple[int, set[int]]]
) -> None:
    kept = dict(versions)
    with Books() as books:
        ids = [books.do(add_run), books.do(add_run)]
        for (run, version), digest in versions.items():
            books.do(add_model, ids[run], version, digest)
        for run, keep in forgets:
            before = set(kept.values())
            kept = {at: digest for at, digest in kept.items() if at[0] != run or at[1] in keep}
            assert books.do(models.forget, ids[run], keep) == sorted(before - set(kept.values()))
            for number, run_id in enumerate(ids):
                still = {one.version for one in books.do(models.of_run, run_id) if one.kept}
                assert still == {version for at, version in kept if at == number}


@settings(max_examples=30)
@given(kinds=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["progress", "forget", "told"])), max_size=25))
def test_who_follows_the_events_misses_none_however_often_it_reconnects(kinds: list[tuple[int, str]]) -> None:
    """Only notes of progress may go unseen: they are dropped when their round is over."""
    seen: list[tuple[int, int]] = []
    told: list[tuple[int, int]] = []
    with Books() as books:
        for step, (run, kind) in enumerate(kinds):
            if kind == "forget":
                books.do(events.forget_progress, run)
            else:
                books.do(events.record, 1.0, run, kind, {"step": step})
                told += [(step, run)] * (kind == "told")
            if step % 3 == 0:
                after = seen[-1][0] if seen else 0
                seen += [(event.number, event.data["step"]) for event in books.do(events.after, after, limit=2)]
        while found := books.do(events.after, seen[-1][0] if seen else 0, limit=2):
            seen += [(event.number, event.data["step"]) for event in found]
    assert [step for _, step in seen] == sorted({step for _, step in seen})
    assert {step for step, _ in told} <= {step for _, step in seen}
