"""The ledger on every database we claim (see ``conftest``): rounds, contributions, models."""

from __future__ import annotations

import asyncio

import pytest

from rondo.base.errors import RondoError
from rondo.ledger import events, models, rounds, runs
from rondo.ledger.ledger import Ledger, Tx
from tests.ledger.rows import JOB, add_model, add_round, add_run, contribution

# ---- rounds and contributions -------------------------------------------------------------------------------------


async def test_a_round_is_opened_once_and_found_again(ledger: Ledger, other: Ledger) -> None:
    key = await ledger.do(add_round)
    await ledger.do(rounds.note_enough, key, 7.0)
    await ledger.do(rounds.note_enough, key, 9.0)
    again = await other.do(rounds.open_round, key, 0, 50.0)
    assert (again.opened_at, again.enough_at, again.state) == (2.0, 7.0, "open")


async def test_the_current_round_is_the_newest_also_when_the_clock_went_back(ledger: Ledger) -> None:
    key = await ledger.do(add_round)
    await ledger.do(rounds.end_round, key, "committed", 3.0)
    await ledger.do(rounds.open_round, (key[0], 1, "train"), 1, 1.0)
    found = await ledger.do(rounds.current, key[0])
    assert found is not None and found.round == 1
    assert await ledger.do(rounds.last_committed, key[0]) == 0
    assert await ledger.do(rounds.current, key[0] + 1) is None


async def test_a_contribution_counts_once_whoever_takes_it(ledger: Ledger, other: Ledger) -> None:
    key = await ledger.do(add_round)
    first = contribution(key, "a")
    answers = await asyncio.gather(ledger.do(rounds.accept, first), other.do(rounds.accept, first))
    assert sorted(answers) == ["", "Contribution refused: a has already contributed to round 0"]
    assert await other.do(rounds.accepted, key) == [first]
    assert await ledger.do(rounds.counts, key[0]) == {"a": (0, 1)}


async def test_a_round_that_is_for_others_takes_nothing(ledger: Ledger) -> None:
    """Who does not cross-validate has no say in it, and one whose training was aborted trains no more."""
    key = await ledger.do(add_round, "abc")
    run, collect = key[0], (key[0], 1, "collect")
    for client, crosses in (("a", True), ("b", False)):
        await ledger.do(runs.note_prepared, (run, client), 2.5, (crosses, ""))
    await ledger.do(runs.set_participant, (run, "a"), "validating", 2.6)
    why = await ledger.do(rounds.accept, contribution(key, "a"))
    assert why == f"Contribution refused: round 0 of run {run} is not for a"
    await ledger.do(rounds.end_round, key, "committed", 3.0)
    await ledger.do(rounds.open_round, collect, 1, 4.0)
    for client in "bc":  # it does not take part in that; it was never prepared
        why = await ledger.do(rounds.accept, contribution(collect, client))
        assert why == f"Contribution refused: round 1 of run {run} is not for {client}"
    assert await ledger.do(rounds.accept, contribution(collect, "a")) == ""


async def test_every_refusal_says_why(ledger: Ledger) -> None:
    key = await ledger.do(add_round, "abc", 1)
    run = key[0]

    async def why(client: str, **values: object) -> str:
        return await ledger.do(rounds.accept, contribution(key, client, **values))

    assert await why("a") == ""
    assert await why("a") == "Contribution refused: a has already contributed to round 1"
    assert await why("x") == f"Contribution refused: x takes no part in run {run}"
    assert await why("b", round=2) == f"Contribution refused: round 2 of run {run} is not open"
    await ledger.do(rounds.close_round, key)
    assert await why("b") == "Contribution refused: round 1 is closed, aggregation has begun"
    await ledger.do(rounds.end_round, key, "committed", 4.0)
    await ledger.do(rounds.open_round, (run, 2, "train"), 2, 5.0)
    assert await why("b") == "Contribution refused: it is for round 1, the current round is 2"
    await ledger.do(runs.set_participant, (run, "b"), "stopped", 6.0)
    assert await why("b", round=2) == f"Contribution refused: b takes no part in run {run}"
    await ledger.do(runs.advance, run, "aborted")
    assert await why("c", round=2) == f"Contribution refused: run {run} is over"
    assert [kept.client for kept in await ledger.do(rounds.accepted, key)] == ["a"]
    assert {row["client"] for row in await ledger.do(rounds.metric_rows, run)} == {"a"}, "the refused leave no metrics"


async def test_closing_a_round_fixes_what_counts(ledger: Ledger, other: Ledger) -> None:
    key = await ledger.do(add_round)
    for client in "ba":
        await ledger.do(rounds.accept, contribution(key, client))
    counted = await ledger.do(rounds.close_round, key)
    assert [one.client for one in counted] == ["a", "b"], "in the order of names, whatever came first"
    assert "closed" in await other.do(rounds.accept, contribution(key, "c"))
    assert await other.do(rounds.close_round, key) == counted, "after a restart too"
    await ledger.do(rounds.end_round, key, "committed", 4.0)
    await other.do(rounds.close_round, key)
    found = await ledger.do(rounds.get, key)
    assert found is not None and found.state == "committed", "what has ended stays ended"


async def test_a_contribution_and_a_closing_at_once_agree(ledger: Ledger, other: Ledger) -> None:
    key = await ledger.do(add_round)
    reason, counted = await asyncio.gather(
        other.do(rounds.accept, contribution(key, "a")), ledger.do(rounds.close_round, key)
    )
    assert (reason == "") == bool(counted)


async def test_who_sits_out_says_why_once_and_not_after_an_answer(ledger: Ledger) -> None:
    key = await ledger.do(add_round, "abcd")
    assert await ledger.do(rounds.decline, key, "c", {"error": "first"}, 5.0)
    assert not await ledger.do(rounds.decline, key, "c", {"error": "second"}, 6.0)
    assert await ledger.do(rounds.decline, key, "b", {"error": "same time"}, 5.0)
    assert await ledger.do(rounds.decline, key, "a", {"error": "later"}, 6.0)
    await ledger.do(rounds.accept, contribution(key, "d"))
    assert not await ledger.do(rounds.decline, key, "d", {"error": "late"}, 7.0)
    declined = await ledger.do(rounds.declined, key)
    assert [(client, why["error"]) for client, why in declined.items()] == [
        ("b", "same time"), ("c", "first"), ("a", "later"),
    ]  # fmt: skip


async def test_what_counted_is_told_per_run_number_in_committed_rounds(ledger: Ledger) -> None:
    first, second = await ledger.do(add_round), await ledger.do(add_round)
    for key in (second, first):
        await ledger.do(rounds.accept, contribution(key, "b"))
        await ledger.do(rounds.accept, contribution(key, "a"))
    assert await ledger.do(rounds.of_number, 1) == []
    for key in (first, second):
        await ledger.do(rounds.end_round, key, "committed", 5.0)
    told = [(one.run, one.client) for one in await ledger.do(rounds.of_number, 1)]
    assert told == [(first[0], "a"), (first[0], "b"), (second[0], "a"), (second[0], "b")]


async def test_metrics_are_kept_per_site_round_and_model(ledger: Ledger) -> None:
    key = await ledger.do(add_round)
    await ledger.do(rounds.accept, contribution(key, "a", local_metrics={"auc": 0.75, "loss": 0.1}))
    rows = await ledger.do(rounds.metric_rows, key[0])
    assert [(row["scope"], row["name"], row["value"], row["samples"]) for row in rows] == [
        ("global", "auc", 0.5, 10.0),
        ("local", "auc", 0.75, 10.0),
        ("local", "loss", 0.1, 10.0),
    ]


# ---- models -------------------------------------------------------------------------------------------------------


async def test_a_version_that_is_forgotten_frees_its_file_unless_another_needs_it(ledger: Ledger) -> None:
    one, two = await ledger.do(add_run), await ledger.do(add_run)
    for version, digest in enumerate(["x", "x", "y", "z"]):
        await ledger.do(add_model, one, version, digest)
    await ledger.do(add_model, two, 0, "y")
    assert await ledger.do(models.forget, one, {3}) == ["x"], "y is the other run's too"
    assert await ledger.do(models.forget, two, set()) == ["y"]
    assert await ledger.do(models.forget, one, {3}) == []
    assert [(model.version, model.kept) for model in await ledger.do(models.of_run, one)] == [
        (0, False), (1, False), (2, False), (3, True),
    ]  # fmt: skip


async def test_what_an_aggregator_remembers_goes_with_its_version(ledger: Ledger) -> None:
    run = await ledger.do(add_run)
    for version, memory in enumerate(["", "m1", "m1", "m3"]):
        provenance = {"memory": {"digest": memory, "size": 20}} if memory else {}
        await ledger.do(models.add, models.Model(run, version, f"d{version}", 10, True, {}, provenance, 1.0))
    first = await ledger.do(models.get, run, 0)
    assert first is not None and first.memory == ("", 0) and first.files == {"d0"}
    assert await ledger.do(models.forget, run, {2, 3}) == ["d0", "d1"], "m1 is that of version 2, too"
    assert await ledger.do(models.forget, run, {3}) == ["d2", "m1"]
    last = await ledger.do(models.last, run)
    assert last is not None and last.memory == ("m3", 20) and last.files == {"d3", "m3"}


async def test_what_clients_were_sent_goes_with_its_version(ledger: Ledger) -> None:
    one, two = await ledger.do(add_run), await ledger.do(add_run)
    for version, (digest, sent) in enumerate([("x", "s"), ("y", "s"), ("z", "t")]):
        await ledger.do(add_model, one, version, digest, sent)
    assert await ledger.do(models.is_kept, one, "s") and not await ledger.do(models.is_kept, one, "x")
    assert not await ledger.do(models.is_kept, two, "s")
    assert await ledger.do(models.forget, one, {1, 2}) == ["x"], "what was sent for x is what was sent for y"
    assert await ledger.do(models.forget, one, {2}) == ["s", "y"]
    assert not await ledger.do(models.is_kept, one, "s") and await ledger.do(models.is_kept, one, "t")


async def test_the_last_update_that_counted_is_known(ledger: Ledger) -> None:
    run = await ledger.do(add_run)
    assert await ledger.do(rounds.last_counted, run, "a") is None
    await ledger.do(runs.invite, run, "a", await ledger.do(runs.get, run), 1.0)
    for number in (3, 4):
        key = (run, number, "train")
        await ledger.do(rounds.open_round, key, number, 1.0)
        assert await ledger.do(rounds.accept, contribution(key, "a")) == ""
    await ledger.do(rounds.open_round, (run, 5, "validate"), 5, 1.0)
    assert await ledger.do(rounds.accept, contribution((run, 5, "validate"), "a")) == ""
    assert await ledger.do(rounds.last_counted, run, "a") == 4
    assert await ledger.do(rounds.last_counted, run, "b") is None


async def test_versions_are_found_and_measured(ledger: Ledger) -> None:
    run = await ledger.do(add_run)
    assert await ledger.do(models.last, run) is None
    for version in (2, 10, 9):
        await ledger.do(add_model, run, version, f"d{version}")
    await ledger.do(models.measure, run, 9, {"auc": 0.9})
    last, ninth = await ledger.do(models.last, run), await ledger.do(models.get, run, 9)
    assert last is not None and last.version == 10
    assert ninth is not None and ninth.metrics == {"auc": 0.9}


async def test_an_offer_made_again_replaces_the_first(ledger: Ledger) -> None:
    for size in (5, 6_000_000_000):
        await ledger.do(models.put_offer, models.OfferRow("u", "a", "d", size, b"\x00claim", 1.0))
    found = await ledger.do(models.offer, "u")
    assert found is not None and found.size == 6_000_000_000 and found.offer == b"\x00claim"
    await ledger.do(models.drop_offer, "u")
    assert await ledger.do(models.offer, "u") is None


async def test_what_the_database_refuses_is_told_as_the_ledgers(ledger: Ledger) -> None:
    """Also where a statement went to the driver itself; and nothing of that transaction stays."""
    run = await ledger.do(add_run)

    def twice(tx: Tx) -> None:
        events.record(tx, 1.0, run, "first")
        add_model(tx, run, 0, JOB.digest)
        add_model(tx, run, 0, JOB.digest)

    with pytest.raises(RondoError, match="the ledger refused"):
        await ledger.do(twice)
    assert await ledger.do(models.of_run, run) == []
    assert await ledger.do(events.after, 0) == []
