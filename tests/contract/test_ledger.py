"""The ledger on every database we claim (see ``conftest``): runs, questions, events, sessions."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import inspect

from rondo.base.errors import Conflict, RunAborted
from rondo.ledger import asks, events, models, numbers, runs, sessions, turns
from rondo.ledger.ledger import Ledger, Tx
from rondo.ledger.runs import Deployment, Package
from rondo.ledger.tables import metadata
from tests.ledger.rows import JOB, add_model, add_run, ask, session

# ---- transactions -------------------------------------------------------------------------------------------------


async def test_opening_it_makes_the_tables_once(ledger: Ledger, other: Ledger) -> None:
    assert set(metadata.tables) == set(await other.do(lambda tx: inspect(tx).get_table_names())) - {"sqlite_sequence"}
    assert await other.do(events.setting, "schema") == "5"


async def test_a_transaction_that_raises_leaves_nothing(ledger: Ledger) -> None:
    def half(tx: Tx) -> None:
        add_run(tx)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await ledger.do(half)
    assert await ledger.do(runs.listed) == []


async def test_what_is_committed_is_there_for_others_and_after_a_restart(url: str, ledger: Ledger) -> None:
    run = await ledger.do(add_run, name="kept")
    async with Ledger(url) as again:
        found = await again.do(runs.get, run)
    assert found is not None and found.name == "kept" and found.error is None


async def test_a_caller_that_is_cancelled_does_not_tear_a_transaction(ledger: Ledger) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(tx: Tx) -> None:
        add_run(tx, number=1)
        loop.call_soon_threadsafe(begun.set)
        add_run(tx, number=2)

    call = asyncio.create_task(ledger.do(slow))
    await begun.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert {run.number for run in await ledger.do(runs.listed)} == {1, 2}


# ---- runs ---------------------------------------------------------------------------------------------------------


async def test_of_two_who_change_a_runs_state_one_is_first(ledger: Ledger, other: Ledger) -> None:
    run = await ledger.do(add_run, "running")
    won = await asyncio.gather(
        ledger.do(runs.advance, run, "finished", ended_at=5.0), other.do(runs.advance, run, "aborted")
    )
    assert sorted(won) == [False, True]
    found = await other.do(runs.get, run)
    assert found is not None and found.state == ("finished" if won[0] else "aborted")
    assert found.ended_at == (5.0 if won[0] else None), "the loser writes nothing"


async def test_a_state_is_left_only_for_one_that_may_follow(ledger: Ledger) -> None:
    run = await ledger.do(add_run, "submitted")
    assert not await ledger.do(runs.advance, run, "running")
    for state in ("dispatching", "running", "validating", "finished"):
        assert await ledger.do(runs.advance, run, state)
        assert not await ledger.do(runs.advance, run, state), "it is there already"
    assert not await ledger.do(runs.advance, run, "aborted")
    assert not await ledger.do(runs.advance, run + 1, "aborted")


async def test_open_runs_are_played_in_the_order_they_came(ledger: Ledger) -> None:
    states = ("finished", "submitted", "running", "failed", "validating", "aborted", "dispatching")
    ids = [await ledger.do(add_run, state) for state in states]
    assert [run.id for run in await ledger.do(runs.open_runs)] == [ids[1], ids[2], ids[4], ids[6]]
    newest = await ledger.do(runs.latest)
    assert newest is not None and newest.id == ids[-1]
    await ledger.do(runs.see_open, ids[2])
    with pytest.raises(RunAborted):
        await ledger.do(runs.see_open, ids[5])


async def test_a_run_number_is_free_where_nobody_ran_or_deployed(ledger: Ledger) -> None:
    assert await ledger.do(runs.next_number) == 1
    await ledger.do(add_run, number=4)
    await ledger.do(runs.deploy, Deployment(7, "server", "job", JOB.digest, 1000, 1.0))
    assert await ledger.do(runs.next_number) == 8
    assert [await ledger.do(runs.number_exists, number) for number in (4, 5, 7)] == [True, False, True]


async def test_who_is_stopped_stays_stopped_until_invited_again(ledger: Ledger) -> None:
    run = await ledger.do(add_run)
    await ledger.do(runs.invite, run, "a", JOB, 1.0)
    assert await ledger.do(runs.set_participant, (run, "a"), "stopped", 2.0, {"error": "aborted"})
    assert not await ledger.do(runs.set_participant, (run, "a"), "prepared", 3.0)
    await ledger.do(runs.invite, run, "a", JOB, 4.0)
    assert await ledger.do(runs.set_participant, (run, "a"), "prepared", 5.0)
    (part,) = await ledger.do(runs.taking_part, run)
    assert (part.client, part.state, part.package, part.reason) == ("a", "prepared", JOB.digest, None)


async def test_a_client_is_engaged_in_the_oldest_run_that_goes_on(ledger: Ledger) -> None:
    ids = [await ledger.do(add_run, state) for state in ("finished", "submitted", "running", "dispatching")]
    assert await ledger.do(runs.engagement, "a") is None
    for run in ids:
        await ledger.do(runs.invite, run, "a", JOB, 1.0)
    engaged = await ledger.do(runs.engagement, "a")
    assert engaged is not None and engaged[0].id == ids[2] and engaged[1].client == "a"


async def test_a_deployment_replaces_the_one_before(ledger: Ledger) -> None:
    for digest in ("blake3:old", "blake3:new"):
        await ledger.do(runs.stage, Package("job", digest, 5, "x", 1.0))
        await ledger.do(runs.deploy, Deployment(1, "a", "job", digest, 5, 1.0))
    staged, deployed = await ledger.do(runs.staged, "job"), await ledger.do(runs.deployed, 1, "a")
    assert staged is not None and deployed is not None
    assert staged.digest == deployed.package == "blake3:new"
    assert await ledger.do(runs.deployed, 1, "b") is None and await ledger.do(runs.staged, "x") is None


async def test_a_client_is_given_what_was_deployed_to_it_or_what_its_run_needs(ledger: Ledger) -> None:
    await ledger.do(runs.deploy, Deployment(1, "a", "job", "blake3:mine", 5, 1.0))
    run = await ledger.do(add_run)
    await ledger.do(runs.invite, run, "b", JOB, 1.0)
    assert [await ledger.do(runs.given, client, "blake3:mine") for client in "ab"] == [True, False]
    assert [await ledger.do(runs.given, client, JOB.digest) for client in "ab"] == [False, True]


async def test_a_run_number_that_is_deleted_leaves_its_runs_as_history(ledger: Ledger) -> None:
    def made(tx: Tx) -> list[str]:
        first, second, other = add_run(tx, "finished"), add_run(tx, "failed"), add_run(tx, "finished", number=2)
        for run, version, digest in ((first, 0, "old"), (first, 1, "both"), (second, 0, "new"), (other, 0, "both")):
            add_model(tx, run, version, digest, digest)
        runs.deploy(tx, Deployment(1, "a", "job", JOB.digest, JOB.size, 1.0))
        events.put_setting(tx, turns.NUMBER, "1")
        return numbers.forget(tx, 1, 5.0)

    assert await ledger.do(made) == ["new", "old"]  # what run 2 keeps stays
    assert {(run.id, run.number) for run in await ledger.do(runs.listed)} == {(1, -1), (2, -1), (3, 2)}
    assert [model.kept for run in (1, 2, 3) for model in await ledger.do(models.of_run, run)] == [False] * 3 + [True]
    assert not await ledger.do(runs.number_exists, 1) and await ledger.do(runs.deployed, 1, "a") is None
    assert await ledger.do(events.setting, turns.NUMBER) == ""
    assert await ledger.do(numbers.forget, 1, 6.0) == []  # again: there is nothing more to forget


@pytest.mark.parametrize("state", runs.OPEN)
async def test_a_run_number_in_use_is_not_deleted(ledger: Ledger, state: str) -> None:
    run = await ledger.do(add_run, state)
    with pytest.raises(Conflict, match=r"Current running run_number can not be deleted\."):
        await ledger.do(numbers.forget, 1, 5.0)
    found = await ledger.do(runs.get, run)
    assert found is not None and found.number == 1


# ---- questions ----------------------------------------------------------------------------------------------------


async def test_a_question_is_answered_once_and_never_after_its_end(ledger: Ledger, other: Ledger) -> None:
    await ledger.do(asks.put, ask("q"))
    assert sorted(
        await asyncio.gather(*(one.do(asks.answer, "q", "a", {"text": "done"}) for one in (ledger, other)))
    ) == [False, True]
    assert await other.do(asks.answered, "q") is not None
    await other.do(asks.end, "q")
    assert await ledger.do(asks.answered, "q") is None
    await ledger.do(asks.put, ask("late"))
    await other.do(asks.end, "late")
    assert not await ledger.do(asks.answer, "late", "a", {"text": "done"})


async def test_what_was_withdrawn_is_not_begun(ledger: Ledger, other: Ledger) -> None:
    """A question may lie before a client that stood still until nobody waited for it any more (T8)."""
    await ledger.do(asks.put, ask("q"))
    assert not await other.do(asks.begin, "q", "b"), "it is a's"
    assert await other.do(asks.begin, "q", "a") and await ledger.do(asks.begin, "q", "a")
    again = await ledger.do(asks.pending, "a", [])
    assert again is not None and again.id == "q", "a client that was killed meanwhile is told again"
    assert await ledger.do(asks.end, "q"), "whoever gives up knows that it was begun"
    assert not await other.do(asks.begin, "q", "a") and not await other.do(asks.answer, "q", "a", {"text": "done"})
    await ledger.do(asks.put, ask("q2"))
    assert not await ledger.do(asks.end, "q2")


async def test_a_server_that_is_back_asks_nothing_that_nobody_waits_for(ledger: Ledger) -> None:
    """An order that was not carried out in time is not carried out late (T8)."""
    for question in (ask("q1"), ask("q2", client="b"), ask("q3")):
        await ledger.do(asks.put, question)
    await ledger.do(asks.answer, "q3", "a", {"text": "done"})
    await ledger.do(asks.withdraw)
    assert [await ledger.do(asks.pending, client, []) for client in "ab"] == [None, None]
    assert await ledger.do(asks.answered, "q3") is not None


async def test_a_client_is_asked_in_order_and_not_what_it_has_in_hand(ledger: Ledger) -> None:
    for question in (ask("late", at=2.0), ask("q2"), ask("q1"), ask("others", client="b")):
        await ledger.do(asks.put, question)
    in_hand: list[str] = []
    while question := await ledger.do(asks.pending, "a", in_hand):
        in_hand.append(question.id)
    assert in_hand == ["q1", "q2", "late"]


async def test_only_the_client_that_was_asked_can_answer(ledger: Ledger) -> None:
    await ledger.do(asks.put, ask("q"))
    assert not await ledger.do(asks.answer, "q", "b", {"text": "mine"})
    assert await ledger.do(asks.answer, "q", "a", {"text": "done"})
    assert not await ledger.do(asks.answer, "q", "a", {"text": "again"})
    found = await ledger.do(asks.answered, "q")
    assert found is not None and found.answer == {"text": "done"} and found.args == ["1", "job"]


# ---- events -------------------------------------------------------------------------------------------------------


async def test_events_can_be_taken_up_after_any_number(ledger: Ledger) -> None:
    for number in range(10):
        await ledger.do(events.record, float(number), number % 2 + 1, "kind", {"n": number})
    everything = await ledger.do(events.after, 0)
    assert [event.data["n"] for event in everything] == list(range(10))
    assert [event.number for event in everything] == sorted({event.number for event in everything})
    for cut in range(10):
        rest = await ledger.do(events.after, everything[cut].number, limit=4)
        assert rest == everything[cut + 1 : cut + 5]


async def test_who_follows_a_run_sees_what_befalls_the_server_since_it_began(ledger: Ledger) -> None:
    for run, kind in ((0, "before"), (7, "run_submitted"), (0, "client_away"), (8, "other"), (7, "run_finished")):
        await ledger.do(events.record, 1.0, run, kind)
    kinds = [event.kind for event in await ledger.do(events.after, 0, 7)]
    assert kinds == ["run_submitted", "client_away", "run_finished"]
    assert await ledger.do(events.after, 0, 99) == []


async def test_a_number_is_never_used_again(ledger: Ledger) -> None:
    """Who has seen number 3 asks for what came after it; the next event must not hide behind it."""
    for _ in range(3):
        await ledger.do(events.record, 1.0, 1, "progress", {"client": "a", "phase": "training", "fraction": 0.5})
    seen = (await ledger.do(events.after, 0))[-1].number
    assert await ledger.do(events.last_progress, 1) == {"a": "its own work: training 50%"}
    await ledger.do(events.forget_progress, 1)
    assert await ledger.do(events.last_progress, 1) == {}
    await ledger.do(events.record, 2.0, 1, "round_committed")
    assert [event.kind for event in await ledger.do(events.after, seen)] == ["round_committed"]


async def test_settings_are_replaced(ledger: Ledger) -> None:
    assert await ledger.do(events.setting, "run_number") is None
    await ledger.do(events.put_setting, "run_number", "1")
    await ledger.do(events.put_setting, "run_number", "2")
    assert await ledger.do(events.setting, "run_number") == "2"


# ---- sessions -----------------------------------------------------------------------------------------------------


async def test_a_session_is_taken_up_again_after_it_was_gone(ledger: Ledger) -> None:
    await ledger.do(sessions.add, session("t1"))
    await ledger.do(sessions.order_leave, "site", "shutdown")
    await ledger.do(sessions.mark, "t1", "gone", "silent", 5.0)
    assert await ledger.do(sessions.present) == [] and await ledger.do(sessions.count) == 0
    await ledger.do(sessions.revive, "t1", "ee" * 32, "10.0.0.9", 9.0)
    (found,) = await ledger.do(sessions.present)
    assert found == session("t1", fingerprint="ee" * 32, address="10.0.0.9", seen_at=9.0), "no order is left over"
    assert await ledger.do(sessions.by_token, "t1") == found
    assert await ledger.do(sessions.by_token, "t2") is None


async def test_present_are_those_here_or_away_by_name(ledger: Ledger) -> None:
    for token, instance, state, role in (
        ("1", "site_1", "here", "client"), ("2", "site", "away", "client"), ("3", "old", "gone", "client"),
        ("4", "admin@x.org", "here", "admin"),
    ):  # fmt: skip
        await ledger.do(sessions.add, session(token, instance, state=state, role=role))
    assert [one.instance for one in await ledger.do(sessions.present)] == ["site", "site_1"]
    assert [one.instance for one in await ledger.do(sessions.present, "admin")] == ["admin@x.org"]
    assert await ledger.do(sessions.names) == {"site", "site_1"}
    assert await ledger.do(sessions.names, "admin") == {"admin@x.org"}
    assert await ledger.do(sessions.count) == 2


async def test_last_heard_of_never_goes_back(ledger: Ledger) -> None:
    await ledger.do(sessions.add, session("t1", seen_at=5.0))
    for at in (3.0, 8.0, 7.0):
        await ledger.do(sessions.seen, {"t1": at, "unknown": at})
    (found,) = await ledger.do(sessions.present)
    assert found.seen_at == 8.0


async def test_an_order_to_leave_is_for_the_client_that_is_there(ledger: Ledger) -> None:
    there = {"t1": session("t1", state="gone"), "t2": session("t2"), "t3": session("t3", role="admin")}
    for one in there.values():
        await ledger.do(sessions.add, one)

    async def orders() -> list[str]:
        found = [await ledger.do(sessions.by_token, token) for token in there]
        return [one.leave for one in found if one]

    await ledger.do(sessions.order_leave, "site", "restart")
    assert await orders() == ["", "restart", ""]
    await ledger.do(sessions.withdraw_leaves)
    assert await orders() == ["", "", ""]
