"""Random news in random order: what a round, a workflow and a waiting client do in any case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from rondo.rounds import events as e
from rondo.rounds.crossing import CROSSING, asked
from rondo.rounds.orders import (
    TAKING_PART,
    Ask,
    Engage,
    Facts,
    Holding,
    Leave,
    Nothing,
    OpenRound,
    Order,
    Recall,
    Work,
    next_order,
)
from rondo.rounds.round import Plan, Round, State
from rondo.rounds.workflow import Step, Workflow

CLIENTS = st.sampled_from("abc")
ENDS = (e.Commit, e.Fail, e.Abandon)


# ---- one round ----------------------------------------------------------------------------------------------------


class RoundMachine(RuleBasedStateMachine):
    """A round beside a plain record of what it was told; whoever drives it carries out what it asks for."""

    @initialize(
        least=st.integers(1, 3), grace=st.sampled_from([0.0, 5.0]), timeout=st.sampled_from([None, 60.0]),
        present=st.sets(CLIENTS, min_size=2),
    )  # fmt: skip
    def open(self, least: int, grace: float, timeout: float | None, present: set[str]) -> None:
        self.round = Round(Plan(least, grace, timeout))
        self.logged_in: set[str] = set()
        self.updates: set[str] = set()
        self.sits_out: dict[str, dict[str, Any]] = {}
        self.timers: set[str] = set()
        self.folds = self.ends = 0
        self.done(self.round.open())
        for client in sorted(present):
            self.joins(client)

    def done(self, commands: list[e.Command]) -> None:
        for command in commands:
            match command:
                case e.SetTimer(name, seconds):
                    assert seconds > 0 and name not in self.timers
                    self.timers.add(name)
                case e.Fold():
                    assert len(self.updates) >= self.round.plan.min_clients
                    self.folds += 1
                case e.Fail(failure) if not self.folds:
                    assert failure == next(iter(self.sits_out.values())), "not the first failure"
                    assert len(self.updates) + len(self.can_answer) < self.round.plan.min_clients
            self.ends += isinstance(command, ENDS)

    def tell(self, event: e.Event) -> None:
        before, over = self.picture(), self.round.over
        commands = self.round.handle(event)
        if over:
            assert commands == [] and self.picture() == before
        self.done(commands)

    def picture(self) -> tuple[Any, ...]:
        return self.round.state, set(self.round.answered), set(self.round.pending), self.round.waiting()

    @property
    def takes_answers(self) -> bool:
        return self.round.state in (State.OPEN, State.GRACE)

    @property
    def can_answer(self) -> set[str]:
        return self.logged_in - self.updates - self.sits_out.keys()

    # The ledger behind it takes an answer only while the round does, and only the first of a client.

    @rule(client=CLIENTS)
    def joins(self, client: str) -> None:
        self.logged_in.add(client)
        self.tell(e.ClientJoined(client))

    @rule(client=CLIENTS)
    def leaves(self, client: str) -> None:
        self.logged_in.discard(client)
        self.tell(e.ClientLeft(client))

    @rule(client=CLIENTS)
    def answers(self, client: str) -> None:
        if self.takes_answers:
            self.updates.add(client)
            self.logged_in.add(client)
            self.sits_out.pop(client, None)
        self.tell(e.UpdateArrived(client))

    @rule(client=CLIENTS, error=st.sampled_from(["broken", "no memory"]))
    def fails(self, client: str, error: str) -> None:
        failure = {"error": error, "site": client}
        if self.takes_answers and client not in self.updates:
            self.sits_out.setdefault(client, failure)
        self.tell(e.TaskFailed(client, failure))

    @precondition(lambda self: self.timers)
    @rule(pick=st.randoms(use_true_random=False))
    def rings(self, pick: Any) -> None:
        self.tell(e.TimeUp(pick.choice(sorted(self.timers))))

    @precondition(lambda self: self.folds)
    @rule(event=st.sampled_from([e.Folded(), e.FoldFailed({"error": "disk full"})]))
    def folds(self, event: e.Event) -> None:
        self.tell(event)

    @precondition(lambda self: self.folds or len(self.sits_out) + len(self.updates) > 1)
    @rule()
    def is_aborted(self) -> None:
        self.tell(e.Aborted("by an admin"))
        assert self.round.over

    @invariant()
    def it_ends_once_and_folds_at_most_once(self) -> None:
        assert self.ends == int(self.round.over) and self.folds <= 1
        assert self.folds or self.round.state not in (State.FOLDING, State.COMMITTED)

    @invariant()
    def an_answer_counts_once_and_none_is_lost(self) -> None:
        assert self.round.answered == self.updates

    @invariant()
    def it_waits_for_those_who_can_still_answer(self) -> None:
        if self.takes_answers:
            assert self.round.waiting().clients == tuple(sorted(self.can_answer))
            assert self.round.waiting().why and self.round.waiting().then
        else:
            assert self.round.waiting().clients == () and not self.round.waiting().then

    @invariant()
    def it_never_waits_when_nobody_is_left(self) -> None:
        if self.updates and self.takes_answers:
            enough = len(self.updates) >= self.round.plan.min_clients
            assert not enough or self.round.waiting().clients

    @invariant()
    def a_failure_that_leaves_too_few_is_told_at_once(self) -> None:
        if self.takes_answers and self.sits_out:
            assert len(self.updates) + len(self.round.waiting().clients) >= self.round.plan.min_clients

    @invariant()
    def a_server_that_was_killed_finds_the_same_round(self) -> None:
        """The ledger keeps who takes part, who answered and who failed, not in which order all that came."""
        if self.round.over:
            return
        again = Round(self.round.plan)
        commands = again.open()
        news = [
            *map(e.ClientJoined, sorted(self.logged_in)),
            *map(e.UpdateArrived, sorted(self.updates)),
            *(e.TaskFailed(client, why) for client, why in self.sits_out.items()),
        ]
        if self.round.state is State.FOLDING:
            news.append(e.TimeUp("grace"))
        elif self.round.overdue:
            news.append(e.TimeUp("round"))
        for event in news:
            commands += again.handle(event)
        assert again.state is self.round.state
        assert self.folds or (again.answered, again.pending) == (self.round.answered, self.round.pending)
        assert again.waiting() == self.round.waiting()
        assert self.folds or again.failures == self.round.failures
        assert sum(isinstance(command, e.Fold) for command in commands) == self.folds
        assert not any(isinstance(command, ENDS) for command in commands)


TestRound = RoundMachine.TestCase
TestRound.settings = settings(max_examples=60, stateful_step_count=30)


# ---- the rounds of a run ------------------------------------------------------------------------------------------


@given(start=st.integers(0, 6), count=st.integers(0, 6), measured=st.booleans(), data=st.data())
def test_a_workflow_visits_every_round_once_however_often_it_is_killed(
    start: int, count: int, measured: bool, data: st.DataObject
) -> None:
    workflow = Workflow(start, start + count, measured)
    trained: int | None = None
    validated, visited = False, []
    step = workflow.resume(trained, validated)
    while step.task != "finish":
        assert step.version == step.round and len(visited) <= count
        if data.draw(st.integers(0, 3), "killed before its end") == 0:
            step = workflow.resume(trained, validated)
            continue
        visited.append((step.task, step.round))
        trained, validated = (step.round, False) if step.task == "train" else (trained, True)
        # Killed after the commit or not: it goes on in the same step.
        assert workflow.after(step) == workflow.resume(trained, validated)
        step = workflow.after(step)
    train = [("train", number) for number in range(start, start + count)]
    assert visited == train + [("validate", start + count)] * (measured and count > 0)
    assert step == Step("finish", start + count, start + count)


# ---- orders -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """An order, with what it was about when it was given."""

    order: Order
    run: int


class OrdersMachine(RuleBasedStateMachine):
    """A ledger's facts and a client that obeys, while orders are lost, late and repeated and admins interfere."""

    given_orders = Bundle("given_orders")

    @initialize(
        part=st.sampled_from(["", *TAKING_PART, "failed", "stopped"]),
        has=st.sampled_from([Holding(0, "idle", -1, ""), Holding(1, "ready", -1, ""), Holding(3, "ready", -1, "")]),
    )
    def begin(self, part: str, has: Holding) -> None:
        if part == "preparing" and has.run == 1:
            part = "prepared"  # that is told before it is ready
        self.facts = Facts(run=1 if part else 0, part=part)
        self.has = has
        self.sound = True  # its package can be prepared
        self.gone = False
        self.runs = 3  # ids are never used again

    # The client, as the client program does it.

    @property
    def takes_part(self) -> bool:
        return bool(self.facts.run) and self.facts.part in TAKING_PART

    def ask(self) -> Order:
        """A waiting call: what is in hand is told, and an invitation in hand is taken note of."""
        if self.has.phase == "preparing" and self.has.run == self.facts.run and self.facts.part == "invited":
            self.facts = replace(self.facts, part="preparing")
        order = next_order(self.facts, self.has)
        if isinstance(order, Work):
            this = self.facts.open_round
            assert this is not None and this.state == "open" and not this.answered
            assert (order.run, order.round, order.task) == (self.facts.run, this.round, this.task)
            assert self.takes_part and self.has.run == self.facts.run and self.has.phase == "ready"
            assert self.facts.part != "validating" or order.task in CROSSING
        return order

    def obey(self, given: Given) -> None:
        match given.order:
            case Leave():
                self.gone = True
            case Ask():
                self.facts = replace(self.facts, ask=False)
            case Recall():
                self.has = Holding(0, "idle", -1, "")
            case Engage(run) if self.has.run != run:
                self.has = Holding(run, "preparing", -1, "")
            case Work(run, number, task) if self.has.run == run and self.has.phase == "ready":
                self.has = Holding(run, "working", number, task)

    def report(self) -> None:
        """What was in hand is done, and told."""
        own = self.has.run == self.facts.run and self.facts.part not in ("stopped", "")
        if self.has.phase == "preparing":
            if own:
                ready = "validating" if self.facts.part == "validating" else "prepared"
                self.facts = replace(self.facts, part=ready if self.sound else "failed")
            self.has = replace(self.has, phase="ready" if self.sound else "failed")
        elif self.has.phase == "working":
            this = self.facts.open_round
            if own and this and (this.round, this.task, this.state) == (self.has.round, self.has.task, "open"):
                self.facts = replace(self.facts, open_round=replace(this, answered=True))
            self.has = Holding(self.has.run, "ready", -1, "")

    @rule(target=given_orders)
    def waits(self) -> Given:
        return Given(self.ask(), self.facts.run)

    @rule(given=given_orders)
    def carries_out_an_order_once_twice_or_late(self, given: Given) -> None:
        if not isinstance(given.order, Leave):
            self.obey(given)

    @rule()
    def gets_something_done(self) -> None:
        self.report()

    @rule()
    def obeys_at_once(self) -> None:
        self.obey(Given(self.ask(), self.facts.run))
        self.report()

    @rule()
    def is_killed_and_comes_back(self) -> None:
        self.has = Holding(0, "idle", -1, "")

    # Admins, and the run.

    @rule(sound=st.booleans())
    def is_invited(self, sound: bool) -> None:
        """For the first time, or aborted and started again in one breath."""
        if self.facts.run:
            self.facts, self.sound = replace(self.facts, part="invited"), sound

    @rule()
    def is_aborted(self) -> None:
        if self.takes_part:
            self.facts = replace(self.facts, part="stopped")

    @rule()
    def is_aborted_once_and_only_validates(self) -> None:
        if self.takes_part and self.facts.part == "prepared":
            self.facts = replace(self.facts, part="validating")
            this = self.facts.open_round
            if this:
                self.facts = replace(self.facts, open_round=replace(this, answered=self.answered(this.task)))

    def answered(self, task: str) -> bool:
        """As the ledger tells it of a round that this client is not asked in."""
        return self.facts.part in TAKING_PART and not asked(task, self.facts.part, cross=True)

    @rule()
    def is_asked(self) -> None:
        self.facts = replace(self.facts, ask=True)

    @rule(state=st.sampled_from(["folding", "committed", "failed"]))
    def the_round_is_closed(self, state: str) -> None:
        if self.facts.open_round:
            self.facts = replace(self.facts, open_round=replace(self.facts.open_round, state=state))

    @rule(task=st.sampled_from(["train", "validate", "collect", "cross"]))
    def the_next_round_opens(self, task: str) -> None:
        this = self.facts.open_round
        if self.facts.run and (this is None or this.state != "open"):
            number = this.round + 1 if this else 0
            self.facts = replace(self.facts, open_round=OpenRound(number, task, "open", self.answered(task)))

    @rule(invited=st.booleans())
    def the_next_run_begins(self, invited: bool) -> None:
        self.runs += 1
        self.facts = Facts(run=self.runs, part="invited") if invited else Facts()
        self.sound = True

    @invariant()
    def left_in_peace_it_comes_to_rest(self) -> None:
        """Obeying alone, from wherever it got to, brings it to where it waits for others, its own answer given."""
        found = self.facts, self.has
        for _ in range(12):
            order = self.ask()
            if isinstance(order, Nothing) and self.has.phase not in ("preparing", "working"):
                break
            self.obey(Given(order, self.facts.run))
            self.report()
        else:
            raise AssertionError(f"{found} comes to no rest")
        assert self.has.run == (self.facts.run if self.takes_part else 0)
        assert not self.takes_part or self.facts.part in ("prepared", "validating")
        this = self.facts.open_round
        if self.takes_part and this and this.state == "open":
            assert this.answered
        self.facts, self.has = found

    @rule(how=st.sampled_from(["shutdown", "restart"]))
    def is_told_to_leave(self, how: str) -> None:
        facts, self.facts = self.facts, replace(self.facts, leave=how)
        self.obey(Given(self.ask(), self.facts.run))
        assert self.gone
        self.facts, self.gone = facts, False
        self.is_killed_and_comes_back()


TestOrders = OrdersMachine.TestCase
TestOrders.settings = settings(max_examples=60, stateful_step_count=40)
