"""Each command against a desk in memory, with the texts that Clara's users know (spec 7.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from rondo.base.errors import BadInput, Conflict, NotFound, Unreachable
from rondo.base.options import Options
from rondo.commands.check_status import MOST_ASKED
from rondo.commands.desk import WaitingLine
from rondo.commands.rows import Facts, Row, Text, facts
from tests.commands.desks import MemoryDesk, problems, started, table, texts, typed

# ---- check_status -------------------------------------------------------------------------------------------------


def test_status_of_a_server_that_has_done_nothing(desk: MemoryDesk) -> None:
    rows = typed(desk, "check_status server")
    assert texts(rows) == [
        "FL run number has not been set.",
        "FL server status: training not started",
        "Registered clients: 2 ",
    ]
    assert table(rows).head == ["CLIENT NAME", "TOKEN", "LAST ACCEPTED ROUND", "CONTRIBUTION COUNT", "STATE"]
    assert table(rows).rows == [["a", "token-a", "", 0, "here"], ["b", "token-b", "", 0, "here"]]
    assert facts(rows) == {
        "run_number": None, "status": "training not started", "run": None, "clients": ["a", "b"],
        "sites": [msgspec.to_builtins(desk.present[name]) for name in "ab"],
    }  # fmt: skip


def test_status_of_a_server_that_trains(desk: MemoryDesk) -> None:
    desk.number = 7
    desk.add_run(number=7, round=4, start_round=2, num_rounds=9, min_clients=2, max_clients=50, submitted_now=1)
    desk.add_client("a", last_round=0, contributions=1, state="away")
    desk.waits = WaitingLine(("a", "b"), "1 more needed", 3661.0, "aggregates when enough have answered")
    rows = typed(desk, "check_status server")
    assert texts(rows) == [
        "FL run number:7",
        "FL server status: training started",
        "run number:7\tstart round:2\tmax round:9\tcurrent round:4",
        "min_num_clients:2\tmax_num_clients:50",
        "Registered clients: 2 ",
        "Total number of clients submitted models for current round: 1",
        "waiting for: a, b (1 more needed), since 01:01:01 UTC; then aggregates when enough have answered",
    ]
    assert table(rows).rows[0] == ["a", "token-a", 0, 1, "away"]
    assert facts(rows)["run"]["round"] == 4


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("submitted", "training starting"), ("dispatching", "training starting"), ("running", "training started"),
        ("validating", "training started"), ("finished", "training stopped"), ("aborted", "training stopped"),
        ("failed", "training stopped"),
    ],
)  # fmt: skip
def test_the_words_for_the_state_of_a_run(desk: MemoryDesk, state: str, said: str) -> None:
    desk.add_run(state)
    assert f"FL server status: {said}" in texts(typed(desk, "check_status server"))


def test_before_the_first_round_has_opened_it_is_the_one_to_come(desk: MemoryDesk) -> None:
    desk.add_run(start_round=2, round=None)
    assert "run number:1\tstart round:2\tmax round:3\tcurrent round:2" in texts(typed(desk, "check_status server"))


def test_nobody_to_wait_for_is_said(desk: MemoryDesk) -> None:
    desk.waits = WaitingLine((), "2 more needed, 0 can answer", 0.0, "waits for another client to log in")
    assert texts(typed(desk, "check_status server"))[-1].startswith("waiting for: nobody yet (2 more needed, 0 can")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"error": "ZeroDivisionError: x", "site": "a"}, "run 1 failed: a: ZeroDivisionError: x"),
        ({"error": "aborted by admin@x.org", "site": ""}, "run 1 failed: aborted by admin@x.org"),
        ({"error": "disk full"}, "run 1 failed: disk full"),
    ],
)
def test_the_first_error_of_a_failed_run_is_its_status(desk: MemoryDesk, error: dict[str, str], said: str) -> None:
    desk.add_run("failed", error=error)
    assert said in texts(typed(desk, "check_status server"))


def test_status_of_clients_line_by_line(desk: MemoryDesk) -> None:
    desk.add_client("b", status="training started", waiting_for="the others, in round 3", since=3661.0, then="trains")
    rows = typed(desk, "check_status client")
    assert rows[:2] == [
        Text("client name: a\ttoken: token-a\tstatus: training not started", site="a"),
        Text(
            "client name: b\ttoken: token-b\tstatus: training started\twaiting for: the others, in round 3, "
            "since 01:01:01 UTC; then trains",
            site="b",
        ),
    ]
    assert [client["instance"] for client in facts(rows)["clients"]] == ["a", "b"]
    assert [row.site for row in typed(desk, "check_status client b a b") if isinstance(row, Text)] == ["b", "a"]


def test_a_crowd_is_told_as_the_server_knows_it(desk: MemoryDesk) -> None:
    """Nobody of it is asked: a silent one costs nothing."""
    for number in range(MOST_ASKED + 1):
        desk.add_client(f"c{number}")
    desk.silent = set(desk.present)
    rows = typed(desk, "check_status client")
    assert len(texts(rows)) == MOST_ASKED + 4 and not problems(rows)
    assert "103 clients, as the server knows them" in texts(rows)[-1]
    names = " ".join(sorted(desk.present)[:MOST_ASKED])
    assert len(problems(typed(desk, f"check_status client {names}"))) == MOST_ASKED


class Hasty(MemoryDesk):
    """A client leaves as soon as it is asked."""

    async def visit(self, site: str, command: str, options: Options) -> AsyncIterator[Row]:
        del self.present[site]
        raise Unreachable("No replies")
        yield


def test_a_client_that_leaves_meanwhile_is_told(desk: MemoryDesk) -> None:
    rows = typed(Hasty(present=desk.present), "check_status client")
    assert problems(rows) == [("a", "No replies", "Unreachable"), ("b", "No replies", "Unreachable")]


# ---- set_run_number -----------------------------------------------------------------------------------------------


def test_a_new_run_number_makes_a_new_folder(desk: MemoryDesk) -> None:
    rows = typed(desk, "set_run_number 12")
    assert texts(rows) == ["Create a new run folder: run_12"]
    assert facts(rows) == {"run_number": 12, "existed": False}
    assert desk.number == 12


def test_faq_T6_a_run_number_used_before_may_be_used_again(desk: MemoryDesk) -> None:
    typed(desk, "set_run_number 5")
    rows = typed(desk, "set_run_number 5")
    assert texts(rows) == ["run number already exists. Set the FL run number to 5."]
    assert facts(rows)["existed"] is True


@pytest.mark.parametrize("word", ["x", "1.5", "''", "1 000", "9" * 5000])
def test_a_run_number_is_an_integer(desk: MemoryDesk, word: str) -> None:
    with pytest.raises(BadInput, match=r"run number must be an integer\."):
        typed(desk, f"set_run_number '{word}'")


@pytest.mark.parametrize(("word", "said"), [("0", "> 0"), ("-3", "> 0"), (str(10**30), "at most 1000000000")])
def test_a_run_number_has_its_bounds(desk: MemoryDesk, word: str, said: str) -> None:
    with pytest.raises(BadInput, match=f"run number must be {said}"):
        typed(desk, f"set_run_number {word}")
    assert desk.number is None


def test_the_run_number_stays_while_a_run_goes_on(desk: MemoryDesk) -> None:
    with pytest.raises(Conflict, match="run_number can not be changed during the FL app running"):
        typed(started(desk), "set_run_number 2")


# ---- upload, deploy -----------------------------------------------------------------------------------------------


def test_an_uploaded_folder_is_told_with_its_place(desk: MemoryDesk) -> None:
    rows = typed(desk, "upload_folder ../../../jobs/job/")
    assert texts(rows) == ["Created folder /ws/startup/../transfer/job"]
    assert facts(rows) == {"folder": "job"}


def test_deploying_to_the_server_and_to_clients(desk: MemoryDesk) -> None:
    typed(desk, "set_run_number 3")
    assert typed(desk, "deploy job server") == [Text("mmar_server has been deployed.")]
    assert typed(desk, "deploy job/ client") == [Text("MMAR deployed.", "a"), Text("MMAR deployed.", "b")]
    assert desk.deployed == {(3, "server"): "job", (3, "a"): "job", (3, "b"): "job"}


def test_faq_T5_clients_may_get_different_jobs(desk: MemoryDesk) -> None:
    desk.packages.add("other")
    for line in ("set_run_number 1", "deploy job client a", "deploy other client b"):
        typed(desk, line)
    assert desk.deployed == {(1, "a"): "job", (1, "b"): "other"}


def test_deploying_needs_a_run_number_and_an_uploaded_folder(desk: MemoryDesk) -> None:
    with pytest.raises(Conflict, match=r"Please set a run number\."):
        typed(desk, "deploy job server")
    typed(desk, "set_run_number 1")
    with pytest.raises(NotFound, match="no such folder: nothing"):
        typed(desk, "deploy nothing server")


def test_a_silent_client_does_not_keep_the_others_from_theirs(desk: MemoryDesk) -> None:
    desk.silent = {"a"}
    typed(desk, "set_run_number 1")
    rows = typed(desk, "deploy job client")
    assert problems(rows) == [("a", "No replies (the command was withdrawn)", "Unreachable")]
    assert texts(rows) == ["MMAR deployed."]


# ---- start, abort, shutdown ---------------------------------------------------------------------------------------


def test_claras_way_from_a_job_to_training(desk: MemoryDesk) -> None:
    for line in ("set_run_number 1", "deploy job server", "deploy job client"):
        typed(desk, line)
    rows = typed(desk, "start server")
    assert texts(rows) == ["Server training is starting...."] and facts(rows) == {"run": 1}
    assert typed(desk, "start client") == [Text("Starting the client...", name) for name in "ab"]
    assert problems(typed(desk, "start client b")) == [("b", "Client already in training.", "Conflict")]


def test_what_start_needs(desk: MemoryDesk) -> None:
    with pytest.raises(Conflict, match=r"Please set a run number\."):
        typed(desk, "start server")
    typed(desk, "set_run_number 1")
    with pytest.raises(Conflict, match=r"Please deploy it before start server\."):
        typed(desk, "start server")
    assert problems(typed(desk, "start client a")) == [("a", "Server training has not started.", "Conflict")]
    for line in ("deploy job server", "start server"):
        typed(desk, line)
    (problem,) = problems(typed(desk, "start client a"))
    assert problem[1] == "mmar_a does not exist. Please deploy it before start client."
    with pytest.raises(Conflict, match="already been started"):
        typed(desk, "start server")


def test_faq_T7_aborting_one_client_leaves_the_others(desk: MemoryDesk) -> None:
    typed(started(desk), "start client b")
    assert typed(desk, "abort client a") == [Text("Aborting the client...", "a")]
    assert (desk.present["a"].status, desk.present["b"].status) == ("training stopped", "training started")
    assert problems(typed(desk, "abort client")) == [("a", "Client training has already stopped.", "Conflict")]


def test_aborting_the_server_ends_the_run(desk: MemoryDesk) -> None:
    rows = typed(started(desk), "abort server")
    assert texts(rows) == ["Aborting the server..."] and facts(rows) == {"run": 1}
    assert desk.known_runs[0].state == "aborted"
    with pytest.raises(Conflict, match=r"Server training has already stopped\."):
        typed(desk, "abort server")


def test_what_has_not_started_is_not_aborted(desk: MemoryDesk) -> None:
    with pytest.raises(Conflict, match=r"Server training has not started\."):
        typed(desk, "abort server")
    assert problems(typed(desk, "abort client a")) == [("a", "Client training has not started.", "Conflict")]


def test_aborting_all_ends_the_run_and_tells_who_took_part(desk: MemoryDesk) -> None:
    rows = typed(started(desk), "abort all")
    assert rows == [Text("Aborting the server..."), Facts({"run": 1}), Text("Aborting the client...", "a")]


def test_clients_are_shut_down_before_the_server(desk: MemoryDesk) -> None:
    with pytest.raises(Conflict, match=r"There are still active clients\. Shutdown all clients first\."):
        typed(desk, "shutdown server")
    desk.silent = {"b"}
    rows = typed(desk, "shutdown client")
    assert rows[0] == Text("Shutdown the client...", "a") and problems(rows)[0][:2] == (
        "b", "No replies (the command was withdrawn)",
    )  # fmt: skip
    desk.silent = set()
    typed(desk, "shutdown client b")
    assert typed(desk, "shutdown server") == [Text("Shutdown the server..."), Facts({"stopped": "server"})]
    assert desk.stopped


# ---- runs ---------------------------------------------------------------------------------------------------------


def test_a_job_is_submitted_by_its_folder(desk: MemoryDesk) -> None:
    desk.add_run("finished")
    rows = typed(desk, "submit_job ./jobs/job/")
    assert texts(rows) == ["run 2 submitted as run_2"] and facts(rows) == {"run": 2, "number": 2}
    assert desk.known_runs[1].name == "job"


def test_one_run_is_aborted_by_its_id(desk: MemoryDesk) -> None:
    desk.add_run()
    desk.add_run("submitted")
    assert texts(typed(desk, "abort_run 2")) == ["run 2 aborted"]
    assert [run.state for run in desk.known_runs] == ["running", "aborted"]
    with pytest.raises(Conflict, match="run 2 is not open"):
        typed(desk, "abort_run 2")
    with pytest.raises(NotFound, match="there is no run 9"):
        typed(desk, "abort_run 9")


def test_runs_are_listed_newest_first(desk: MemoryDesk) -> None:
    desk.add_run("failed", error={"error": "ValueError: x", "site": "a"}, round=1)
    desk.add_run("submitted", round=None)
    rows = typed(desk, "list_runs")
    assert table(rows).rows == [
        [2, 1, "job", "submitted", "", "admin@x.org", ""],
        [1, 1, "job", "failed", "1 of 3", "admin@x.org", "ValueError: x"],
    ]
    assert [run["id"] for run in facts(rows)["runs"]] == [2, 1]


def test_models_are_listed_with_the_best_one(desk: MemoryDesk) -> None:
    desk.add_run(best_version=1)
    version = {"kept": True, "digest": "blake3:x", "metrics": {"loss": 0.25, "auc": 0.9}}
    desk.versions[1] = [{"version": 0, **version, "metrics": {}, "kept": False}, {"version": 1, **version}]
    rows = typed(desk, "list_models 1")
    assert table(rows).rows == [
        [0, False, False, "blake3:x", ""], [1, True, True, "blake3:x", "auc=0.9000 loss=0.2500"],
    ]  # fmt: skip
    assert (facts(rows)["run"], facts(rows)["best"], len(facts(rows)["models"])) == (1, 1, 2)


def test_metrics_are_listed_per_round_and_client(desk: MemoryDesk) -> None:
    desk.add_run()
    metric = {"run": 1, "round": 0, "client": "a", "scope": "global", "name": "auc", "value": 0.5, "samples": 10.0}
    desk.scalars[1] = [metric]
    rows = typed(desk, "list_metrics 1")
    assert table(rows).head == ["ROUND", "CLIENT", "SCOPE", "NAME", "VALUE", "SAMPLES"]
    assert table(rows).rows == [[0, "a", "global", "auc", 0.5, 10.0]]
    assert facts(rows) == {"run": 1, "metrics": [metric]}


@pytest.mark.parametrize("command", ["list_models", "list_metrics"])
def test_of_a_run_that_there_is_not_nothing_is_listed(desk: MemoryDesk, command: str) -> None:
    with pytest.raises(NotFound, match="there is no run 7"):
        typed(desk, f"{command} 7")
