"""The answers of Clara's FAQ about clients (C1 to C11), as tests with real processes and TLS."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from rondo.console.session import RunEvent
from rondo.net import methods
from rondo.net.methods import METHODS
from rondo.simulator.local import ADMIN, SERVER
from rondo.wire import rondo_pb2 as pb
from tests.real.door import Door, empty, refused
from tests.real.gates import command, console_run, gated_job, gates, listening, printed, processes, status, texts
from tests.real.world import world


def accepted(events: list[RunEvent], round_number: int) -> list[str]:
    """Whose update is in the model that this round made."""
    (committed,) = [
        event.data
        for event in events
        if event.kind == "round_committed" and (event.data["round"], event.data["task"]) == (round_number, "train")
    ]
    return list(committed["contributors"])


async def test_faq_C1_a_newcomer_takes_part_in_the_current_round(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb", "late", "fourth"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 1)) as (gate,),
        world(tmp_path / "w", clients, absent=("late", "fourth"), server={"max_num_clients": 3}) as made,
    ):
        job = gated_job(tmp_path / "job", num_rounds=3, wait_after_min_clients=600)
        run = await made.session.submit(job)
        await gate.reached()
        await made.start("late")
        await made.until("update_accepted", run, client="late", round=1)

        # With all seats taken the next one is told why, and nobody else notices.
        await made.start("fourth")
        assert await made.wait("fourth") == 4
        assert made.output("fourth").splitlines()[-1].startswith("Error: max_num_clients 3: Maximum number of clients")
        gate.open()
        events = await made.ended(run)
        assert events[-1].kind == "run_finished"
        assert [accepted(events, number) for number in range(3)] == [["a", "bb"], *[["a", "bb", "late"]] * 2]
        assert (await made.session.facts("check_status", "server"))["clients"] == ["a", "bb", "late"]

        # A job may want fewer than are here: whoever is one too many waits for another run.
        job = gated_job(tmp_path / "few", num_rounds=1, min_clients=1, max_clients=2)
        run, events = await made.run(job)
        assert [accepted(events, 0), await status(made, "late")] == [["a", "bb"], "training not started"]


async def test_faq_C2_a_client_opens_no_port(tmp_path: Path) -> None:
    async with (
        gates(tmp_path / "data", ("a", 0)) as (gate,),
        world(tmp_path / "w", {"a": tmp_path / "data"}) as made,
    ):
        job = gated_job(tmp_path / "job", num_rounds=1, min_clients=1)
        run = await console_run(made, job, 1, "a")
        await gate.reached()

        # In the middle of training: the client, its worker and the worker's keeper listen to nothing.
        assert len(processes(made.pid("a"))) == 3
        assert listening(made.pid("a")) == set()
        # Every connection of the server was made by the other side: at this end is the port of the kit.
        port = made.layout.port
        links = [link for link in psutil.Process(made.pid(SERVER)).net_connections("inet") if link.raddr]
        assert {link.laddr.port for link in links if link.status == psutil.CONN_ESTABLISHED} == {port}

        # Commands reach the client all the same, while it trains.
        assert await status(made, "a") == "training started"
        assert texts(await command(made.session, "abort client a"), "a") == ["Aborting the client..."]
        await made.until("client_stopped", run, client="a")
        assert texts(await command(made.session, "start client a"), "a") == ["Starting the client..."]
        await gate.reached()
        gate.open()
        assert (await made.ended(run))[-1].kind == "run_finished"


async def test_faq_C4_who_may_log_in(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, absent=("a", "bb")) as made:
        door = Door(made)
        # The handshake itself fails: there is nobody who could be told anything.
        assert (await door.refused(door.nameless())).startswith("UNAVAILABLE")
        assert (await door.refused(door.forged("a"))).startswith("UNAVAILABLE")
        mismatch = "UNAUTHENTICATED: client ID does not match the SSL certificate CN"
        assert await door.refused(door.of("bb"), name="a") == mismatch
        assert await door.refused(door.of("a"), name=ADMIN, role="admin") == mismatch
        assert (await door.refused(door.of("a"), role="admin")).startswith("PERMISSION_DENIED: this certificate is for")
        assert (await door.refused(door.of(ADMIN), name=ADMIN)).startswith("PERMISSION_DENIED: this certificate is for")
        wrong = "INVALID_ARGUMENT: Requested task does not match the current server task"
        assert await door.refused(door.of("a"), project="another") == wrong
        assert (await made.session.facts("check_status", "server"))["clients"] == []

        async with door.logged_in("a") as a, door.logged_in("bb") as bb:
            assert len(a.token) >= 32 and a.token != bb.token
            assert (await made.session.facts("check_status", "server"))["clients"] == ["a", "bb"]
            # Whoever is logged in as a client stays one, whatever it asks for.
            for method in (methods.COMMAND, methods.WATCH):
                assert await refused(a, method, empty(method)) == "PERMISSION_DENIED: a client may not do this"
            # A model that is not (or no longer) its own is missing for it: no reason for a client to end itself.
            foreign = pb.PullRequest(file=pb.FileRef(digest="blake3:" + "0" * 64, size=1))
            assert (await refused(a, methods.PULL, foreign)).startswith("NOT_FOUND: this file is not, or no longer")
            mine, theirs = a.token, bb.token
            for method in METHODS:
                if method is methods.REGISTER:
                    continue
                admins = method in (methods.COMMAND, methods.WATCH)
                nobody = "UNAUTHENTICATED: not authenticated - no token" if admins else "INVALID_ARGUMENT: no token"
                unknown = f"UNAUTHENTICATED: {'not authenticated - no user' if admins else 'Unknown client identity'}"
                for token, reason in (
                    ("", nobody),
                    (mine[:-1], unknown),
                    ("x" * 300, "UNAUTHENTICATED: Unknown client identity"),
                    (theirs, "UNAUTHENTICATED: this token belongs to another certificate"),
                ):
                    a.token = token
                    assert await refused(a, method, empty(method)) == reason, method.path
            a.token = mine
            await a.call(methods.BEAT, pb.Beat())  # the refusals harmed nobody
            await bb.call(methods.BEAT, pb.Beat())


async def test_faq_C5_two_packages_on_one_machine(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        lines = (await made.session.facts("check_status", "client"))["clients"]
        assert [line["instance"] for line in lines] == ["a", "bb"]
        assert len({line["session"] for line in lines}) == 2

        job = gated_job(tmp_path / "job", num_rounds=1, wait_after_min_clients=600)
        run = await console_run(made, job, 1, "a")
        copies = sorted(path.name for path in (tmp_path / "w" / SERVER / "run_1").glob("mmar_*"))
        assert copies == ["mmar_a", "mmar_server"]
        await made.until("update_accepted", run, client="a", round=0)
        assert not (tmp_path / "w" / "bb" / "run_1").exists()
        assert [await status(made, name) for name in ("a", "bb")] == ["training started", "training not started"]
        await command(made.session, "deploy job client bb")
        await command(made.session, "start client bb")
        events = await made.ended(run)
        assert accepted(events, 0) == ["a", "bb"]
        assert texts(await command(made.session, "shutdown client bb"), "bb") == ["Shutdown the client..."]
        assert await made.wait("bb") == 0
        assert (await made.session.facts("check_status", "server"))["clients"] == ["a"]


async def test_faq_C6_three_instances_of_one_package(tmp_path: Path) -> None:
    names = ["flclient1", "flclient1_1", "flclient1_2"]
    async with (
        gates(tmp_path / "data", *((name, 0) for name in names)) as guards,
        world(tmp_path / "w", {"flclient1": tmp_path / "data"}) as made,
    ):
        for name in names[1:]:
            made.workspaces[name] = made.workspaces["flclient1"]
            await made.start(name, "--data", str(tmp_path / "data"))
            await made.logged_in(name)
        lines = (await made.session.facts("check_status", "client"))["clients"]
        assert [(line["instance"], line["kit"]) for line in lines] == [(name, "flclient1") for name in names]
        assert len({line["session"] for line in lines}) == 3

        job = gated_job(tmp_path / "job", num_rounds=1, wait_after_min_clients=600)
        run = await made.session.submit(job)
        for guard in guards:
            await guard.reached()
        folder = made.workspaces["flclient1"] / "run_1"
        assert sorted(path.name for path in folder.glob("mmar_*")) == [f"mmar_{name}" for name in names]

        assert texts(await command(made.session, "abort client flclient1_1"), "flclient1_1")
        await made.until("client_stopped", run, client="flclient1_1")
        assert [await status(made, name) for name in names] == [
            "training started",
            "training stopped",
            "training started",
        ]
        for guard in guards:
            guard.open()
        events = await made.ended(run)
        assert events[-1].kind == "run_finished" and accepted(events, 0) == ["flclient1", "flclient1_2"]
        for name in names:  # what each printed is in its own log
            assert f"round 0 at {name}" in (folder / f"{name}.log").read_text()


async def test_faq_C7_C8_a_killed_client_is_dropped_and_comes_back_into_the_current_round(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("a", 1)) as (gate,),
        world(tmp_path / "w", clients, project={"rondo": {"heart_beat_timeout": 3}}) as made,
    ):
        run = await made.session.submit(gated_job(tmp_path / "job", num_rounds=3))
        await gate.reached()
        await made.kill("a")
        gone = await made.until("client_gone", client="a")
        assert gone.data["reason"] == "silent"
        assert "Remove the dead Client. Name: a " in made.output(SERVER)
        assert (await made.session.facts("check_status", "server"))["clients"] == ["bb"]

        await made.start("a")
        await made.until("client_back", after=gone.number, client="a")
        await gate.reached()  # it was given round 1 again
        gate.open()
        events = await made.ended(run)
        assert events[-1].kind == "run_finished"
        assert [accepted(events, number) for number in range(3)] == [["a", "bb"]] * 3
        back = next(event.number for event in events if event.number > gone.number and event.kind == "client_back")
        arrived = [e for e in events if e.kind == "update_accepted" and e.data["client"] == "a" and e.number > back]
        assert arrived[0].data["round"] == 1


async def test_faq_C9_one_client_trains_at_once_and_the_round_stays_open_for_the_second(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}, absent=("bb",)) as made:
        run = await console_run(made, gated_job(tmp_path / "job", num_rounds=2), 1, "a")
        mine = await made.until("update_accepted", run, client="a", round=0)
        # One that was due before may still be told.
        await made.until("waiting", run, after=mine.number, why="1 more needed, 0 can answer")
        # It is still there, and says what it waits for.
        (line,) = (await made.session.facts("check_status", "client", "a"))["clients"]
        assert (line["status"], line["waiting_for"], line["state"]) == (
            "training started",
            "the others, in round 0",
            "here",
        )
        (run_now,) = [one for one in (await made.session.facts("list_runs"))["runs"] if one["id"] == run]
        assert (run_now["state"], run_now["round"], run_now["submitted_now"]) == ("running", 0, 1)

        await made.start("bb")
        await made.logged_in("bb")
        await command(made.session, "deploy job client bb")
        await command(made.session, "start client bb")
        events = await made.ended(run)
        assert [accepted(events, number) for number in range(2)] == [["a", "bb"]] * 2
        assert "ERROR" not in made.output("a")


async def test_faq_C10_the_third_update_counts_within_the_wait_and_is_outdated_after_it(tmp_path: Path) -> None:
    clients = dict.fromkeys(("a", "bb", "ccc"), tmp_path / "data")
    async with (
        gates(tmp_path / "data", ("ccc", 0)) as (gate,),
        world(tmp_path / "w", clients) as made,
    ):
        # (a) within the wait, which ends as soon as everybody has answered
        job = gated_job(tmp_path / "within", num_rounds=1, wait_after_min_clients=600)
        run = await made.session.submit(job)
        await gate.reached()
        for client in ("a", "bb"):
            await made.until("update_accepted", run, client=client, round=0)
        gate.open()
        events = await made.ended(run)
        assert accepted(events, 0) == ["a", "bb", "ccc"]

        # (b) after it
        job = gated_job(tmp_path / "after", num_rounds=3, wait_after_min_clients=0.2)
        run = await made.session.submit(job)
        await gate.reached()
        first = await made.until("round_committed", run, round=0)
        assert first.data["contributors"] == ["a", "bb"]
        gate.open()
        refused = await made.until("update_refused", run, client="ccc")
        # Between the commit of one round and the opening of the next, it is the closed round that is named.
        refusal = "Contribution refused: "
        outdated = (f"{refusal}it is for round 0, the current round is ", f"{refusal}round 0 is closed")
        assert refused.data["reason"].startswith(outdated)
        assert refused.data["reason"] in made.output("ccc")  # the client knows why
        events = await made.ended(run)
        assert events[-1].kind == "run_finished"
        given = [event.data for event in events if event.kind == "update_accepted" and event.data["client"] == "ccc"]
        assert given and given[0]["round"] > 0


async def test_faq_C11_a_waiting_client_waits_on_and_leaves_cleanly(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        # The server goes and is not ready for a while: the client keeps trying.
        await made.stop(SERVER)
        await printed(made.folder / "a.out", "trying again", count=2)
        await made.start(SERVER)
        await made.log_in()

        # The admin's shutdown ends it and takes it off the list at once, long before heart_beat_timeout (600 s).
        answer = await command(made.session, "shutdown client a")
        assert texts(answer, "a") == ["Shutdown the client..."]
        assert (await made.session.facts("check_status", "server"))["clients"] == []
        assert await made.wait("a") == 0

        # So does a signal: the client says goodbye.
        for number, how in enumerate((signal.SIGINT, signal.SIGTERM)):
            await made.start("a")
            joined = await made.until("client_joined", client="a", count=2 + number)
            psutil.Process(made.pid("a")).send_signal(how)
            assert await made.wait("a") == 0
            gone = await made.until("client_gone", after=joined.number, client="a")
            assert gone.data["reason"] == "quit"
            assert (await made.session.facts("check_status", "server"))["clients"] == []
