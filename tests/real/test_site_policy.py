"""A site is its own master: what it refuses stays outside, whoever asks for it, and the admin is told why."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from rondo.jobs.package import pack
from rondo.pki.vouchers import vouch
from rondo.policy.site import FILE
from rondo.simulator.local import ADMIN, SERVER
from tests.real.gates import GATED, command, gated_job, printed
from tests.real.hostile import arrays_of, refused, stranger
from tests.real.watching import watched, workers
from tests.real.world import World, world, write_job

OTHER = "other@hub.org"
TWO_ADMINS = {"admin_clients": [{"org": "hub", "email": ADMIN}, {"org": "hub", "email": OTHER}]}


def policy(made: World, client: str, text: str) -> None:
    (made.workspaces[client] / FILE).write_text(text)


async def deployed(made: World, folder: Path, *clients: str) -> dict[str, str]:
    """What each of these clients says against the job in ``folder``."""
    await command(made.session, f"upload_folder {folder}")
    answer = await command(made.session, f"deploy {folder.name} client {' '.join(clients)}")
    assert {problem["code"] for problem in answer["problems"]} <= {"SiteRefused"}
    return {problem["site"]: problem["error"] for problem in answer["problems"]}


def tampered(made: World, voucher: str) -> None:
    """A server that puts another signature under every package it has."""
    with sqlite3.connect(made.workspaces[SERVER] / "ledger.db") as ledger:
        ledger.execute("UPDATE packages SET voucher = ?", (voucher,))
    ledger.close()


async def test_a_package_that_no_admin_has_signed_gets_nowhere(tmp_path: Path) -> None:
    async with (
        world(tmp_path / "w", {"a": None}, project=TWO_ADMINS) as made,
        world(tmp_path / "other", {}) as foreign,
        stranger(made.workspaces[ADMIN], "admin") as lead,
    ):
        job = gated_job(tmp_path / "job", min_clients=1, num_rounds=1)
        file = pack(job, tmp_path / "job.zip")
        content, their = file.path.read_bytes(), foreign.admin_kit

        # The server looks at once, before a byte of the package has moved.
        async with stranger(made.workspaces[OTHER], "admin") as other:
            for voucher, says in (
                ("", "is not signed"),
                (other.signs("blake3:" + "0" * 64), "over this content"),
                (vouch(file.digest, their.project, their.cert_pem, their.key_pem), "not this project's authority"),
                (lead.signs(file.digest), f"'{OTHER}' sends it"),
            ):
                error = await refused(other.smuggle("job", content, voucher))
                assert error.code in ("Refused", "BadInput") and says in str(error)
            assert (await refused(other.command("submit_job", "job"))).code == "NotFound"

        # A server that does not look, or that changes what it holds, does not get past the site.
        await command(made.session, f"upload_folder {job}")
        await command(made.session, "set_run_number 1")
        for voucher, says in (
            ("", "the package is not signed"),
            (lead.signs("blake3:" + "0" * 64), "over this content"),
            (vouch(file.digest, their.project, their.cert_pem, their.key_pem), "not this project's authority"),
        ):
            tampered(made, voucher)
            (problem,) = (await command(made.session, "deploy job client a"))["problems"]
            assert (problem["site"], problem["code"]) == ("a", "SiteRefused") and says in problem["error"]
            assert not list(made.workspaces["a"].glob("run_*/mmar_a"))

        await lead.command("submit_job", "job")
        newest = (await made.session.facts("list_runs"))["runs"][0]
        events = await made.ended(newest["id"])
        assert events[-1].kind == "run_failed"
        assert events[-1].data["site"] == "a" and says in events[-1].data["error"]
        assert not list(made.workspaces["a"].glob("run_*/mmar_a"))

        # What is signed is trained.
        _, events = await made.run(job)
        assert events[-1].kind == "run_finished"


async def test_a_site_decides_whose_code_runs(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        job = gated_job(tmp_path / "job", min_clients=1, num_rounds=1)
        digest = pack(job, tmp_path / "job.zip").digest
        await command(made.session, "set_run_number 1")

        policy(made, "a", f'code = ["{OTHER}"]\n')  # no restart: it counts from the next question on
        says = await deployed(made, job, "a", "bb")
        assert list(says) == ["a"] and f"brings its own code, signed by '{ADMIN}'" in says["a"]
        assert not (made.workspaces["a"] / "run_1" / "mmar_a").exists()
        assert (made.workspaces["bb"] / "run_1" / "mmar_bb" / "work.py").exists()

        _, events = await made.run(job)  # whoever submits is told, and the others go on
        (failed,) = [event.data for event in events if event.kind == "client_failed"]
        assert failed["client"] == "a" and "brings its own code" in failed["error"]
        assert events[-1].kind == "run_finished"

        for code in (f'["{digest}"]', f'["{ADMIN}"]'):
            policy(made, "a", f"code = {code}\n")
            assert await deployed(made, job, "a") == {}
        # It is there already; what has changed is the policy.
        policy(made, "a", 'code = "refuse"\n')
        assert "brings its own code" in (await deployed(made, job, "a"))["a"]
        policy(made, "a", "code = allow\n")
        assert f"{FILE}:1:" in (await deployed(made, job, "a"))["a"]
        policy(made, "a", '[commands]\nrefuse = ["deploy"]\n')
        assert "does not answer 'deploy'" in (await deployed(made, job, "a"))["a"]

        # Who looks around here is answered by the site that says so, and by no other.
        policy(made, "a", "")
        policy(made, "bb", "[commands]\nshell = true\n")
        for line in ("ls a", "ls -l a", "pwd a", "env a", "cat a readme.txt", "tail a log.txt", "grep a x log.txt"):
            (problem,) = (await command(made.session, line))["problems"]
            assert (problem["site"], problem["code"]) == ("a", "SiteRefused"), line
            assert f"{FILE} [commands]: this site does not answer '{line.split()[0]}'" in problem["error"]
        assert not (await command(made.session, "ls bb"))["problems"]
        assert await deployed(made, job, "a") == {}


TWO_TENSORS = GATED.replace('{"w": np.zeros(4, np.float32)}', '{"w": np.zeros(4, np.float32), "own": np.ones(2)}')
TWO_TENSORS = TWO_TENSORS.replace('{"w": model["w"] + STEP}', '{"w": model["w"] + STEP, "own": model["own"] * 3}')
CLIENT = '[client]\ntrainer = { name = "function", class = "work:Clinic" }\n'
MODEL = '[model]\nfunction = "work:new_model"\n'


async def test_a_job_cannot_take_the_sites_filters_away(tmp_path: Path) -> None:
    def sent(run: int, client: str) -> dict[str, Any]:
        """What reached the server."""
        path = made.workspaces[SERVER] / f"run_{run}" / "updates" / "round_0" / f"{client}.safetensors"
        return arrays_of(path.read_bytes())

    async with world(tmp_path / "w", {"a": None, "bb": None}) as made:
        policy(made, "a", '[[filters]]\nname = "exclude_vars"\nvars = ["own"]\n')
        for number, filters in enumerate(("", 'filters = [{ name = "percentile", percentile = 0 }]\n')):
            toml = MODEL + CLIENT + filters
            job = write_job(tmp_path / f"job{number}", code=TWO_TENSORS, toml=toml, num_rounds=1, keep_updates=1)
            run, events = await made.run(job)
            assert events[-1].kind == "run_finished", events[-1]
            assert set(sent(run, "a")) == {"w"} and set(sent(run, "bb")) == {"own", "w"}

        # What does not fit the job keeps the update at home: the site is not asked to do without.
        policy(made, "a", '[[filters]]\nname = "exclude_vars"\nvars = ["patients"]\n')
        _, events = await made.run(job)
        assert events[-1].kind == "run_failed" and "patients" in events[-1].data["error"]


GREEDY = """
import os
import time
import numpy as np
import rondo


def new_model():
    return {"w": np.zeros(4, np.float32)}


class Greedy:
    def __init__(self, site, wants):
        self.wants = wants

    def train(self, model, task):
        print("cards:", repr(os.environ.get("CUDA_VISIBLE_DEVICES")), flush=True)
        if self.wants == "cpus":
            os.sched_setaffinity(0, range(os.cpu_count()))
            while len(os.sched_getaffinity(0)) > 1:
                time.sleep(0.05)
            return {"w": model["w"] + 1}, 1
        if self.wants == "memory":
            held = bytearray(b"x" * (300 << 20))
        if self.wants == "disk":
            with open("checkpoint", "wb") as file:
                file.write(bytes(30 << 20))
        time.sleep(600)
"""
PASSED = {
    "memory": ('memory = "200 MiB"', "MiB of memory, this site allows 200.0 MiB"),
    "disk": ('disk = "20 MiB"', "MiB of disk, this site allows 20.0 MiB"),
    "run_time": ('run_time = "3 s"', "has run for 3 s, this site allows 3 s"),
}


def greedy(folder: Path, wants: str) -> Path:
    """A job of one trainer that wants one thing."""
    trainer = f'{{ name = "function", class = "work:Greedy", args = {{ wants = "{wants}" }} }}'
    settings = {"min_clients": 1, "num_rounds": 1, "final_validation": False}
    return write_job(folder / wants, code=GREEDY, toml=f"{MODEL}[client]\ntrainer = {trainer}\n", **settings)


async def test_a_run_that_takes_too_much_is_ended_and_the_admin_told(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        client = made.pid("a")
        for wants, (limit, says) in PASSED.items():
            policy(made, "a", f"[limits]\n{limit}\n")
            run, events = await made.run(greedy(tmp_path, wants))
            (failed,) = [event.data for event in events if event.kind == "client_failed"]
            assert failed["client"] == "a" and f"{FILE} [limits] {wants}: " in failed["error"], failed
            assert says in failed["error"]
            assert events[-1].kind == "run_failed" and events[-1].data["site"] == "a"
            assert workers(client) == []
        policy(made, "a", "[limits]\ncpus = 1\ngpus = 0\n")
        run, events = await made.run(greedy(tmp_path, "cpus"))
        assert events[-1].kind == "run_finished" and made.pid("a") == client
        assert "cards: ''" in (made.workspaces["a"] / f"run_{run}" / "a.log").read_text()


CURIOUS = """
import os
import socket
import numpy as np
import rondo

CLIENT, SERVER = {workspace!r}, {port}


def new_model():
    return {{"w": np.zeros(4, np.float32)}}


def came_of(attempt):
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"


class Curious:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        tried = [
            came_of(lambda: open(CLIENT + "/startup/client.key").read()),
            came_of(lambda: open(CLIENT + "/site_policy.toml", "w")),
            came_of(lambda: os.listdir(CLIENT + "/seats")),
            came_of(lambda: socket.create_connection(("127.0.0.1", SERVER), 5)),
            came_of(lambda: open(self.site.data / "scan").read()),
            came_of(lambda: open(self.site.data / "scan", "w")),
            came_of(lambda: open("notes", "w").write("mine")),
        ]
        print("tried:", *tried, flush=True)
        return rondo.Update({{"w": model["w"] + 1}}, 1.0)

    def validate(self, model, task):
        return 1.0, {{"level": float(model["w"].mean())}}
"""
IN_A_SANDBOX = (
    "FileNotFoundError OSError FileNotFoundError ConnectionRefusedError done OSError done"  # OSError: read-only
)


async def test_a_run_in_a_sandbox_is_a_run_like_any_other(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "scan").write_text("of a patient")
    async with world(tmp_path / "w", {"a": data, "bb": data}) as made:
        told = {"workspace": str(made.workspaces["a"]), "port": made.admin_kit.port}
        toml = MODEL + CLIENT.replace("Clinic", "Curious")
        job = write_job(tmp_path / "job", code=CURIOUS.format(**told), toml=toml, num_rounds=2)
        policy(made, "a", f'[worker]\nsandbox = "bubblewrap"\n[data]\nfolders = ["{data}"]\n')
        run, events = await made.run(job)
        assert events[-1].kind == "run_finished", events[-1]
        logs = [(made.workspaces[name] / f"run_{run}" / f"{name}.log").read_text() for name in ("a", "bb")]
        assert logs[0].count(f"tried: {IN_A_SANDBOX}\n") == 2
        assert logs[1].count("tried: done done done done done done done\n") == 2  # as the test sees it outside
        assert (made.workspaces["a"] / f"run_{run}" / "work_a" / "notes").read_text() == "mine"
        metrics = {event.data["client"]: event.data["metrics"] for event in events if event.kind == "update_accepted"}
        assert metrics == {"a": {"level": 2.0}, "bb": {"level": 2.0}}


async def test_a_sandbox_ends_with_its_client(tmp_path: Path) -> None:
    async with world(tmp_path / "w", {"a": None}) as made:
        policy(made, "a", '[worker]\nsandbox = "bubblewrap"\n')
        run = await made.session.submit(greedy(tmp_path, "time"))
        await made.until("round_opened", run)
        await printed(made.workspaces["a"] / f"run_{run}" / "a.log", "cards:")
        inside = [process.pid for process in workers(made.pid("a"))]
        assert len(inside) == 3  # bubblewrap, the keeper and the worker
        with watched(inside) as left:
            await made.kill("a")
            await left.ended(within=5)
        await command(made.session, f"abort_run {run}")
