"""Who may do what, through a real server with the policy of spec 3.5 and a kit for each admin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rondo.base.clock import SystemClock
from rondo.base.errors import Refused
from rondo.console.session import AdminSession, log_in
from rondo.net.kits import load_kit
from rondo.simulator.local import SERVER, Layout
from tests.jobs.test_facts import codeless
from tests.policy.policies import mapping
from tests.ports import free_port
from tests.real.gates import command, gated_job, gates, texts
from tests.real.world import LONG, World

SUPER, ORG1, ORG2, SECURE = "admin@admin.com", "leadIT@org1.com", "siteresearcher@org2.com", "leadIT@secure.com"
STUDY = "lead@nvidia.com"
TRAINER = '[client]\ntrainer = { name = "sklearn", data = "cases" }\n'  # the site's own code loads them
SITES = ("org1-a", "client3", "client4")


def policy() -> dict[str, Any]:
    """Clara's example, and somebody of the server's organisation who deploys and trains nearly everywhere."""
    made = mapping()
    made["roles"]["lead_study"] = "leads a study of all sites"
    made["users"][STUDY] = {"org": "nvidia", "roles": ["lead_study"]}
    made["groups"]["general"]["role_rights"]["lead_study"] = {"deploy_all": True, "train_all": True, "view_all": True}
    return made


class Admins:
    """A federation, and a session of each admin of its policy."""

    def __init__(self, made: World, sessions: dict[str, AdminSession]) -> None:
        self.world = made
        self.sessions = sessions

    async def done(self, who: str, line: str) -> dict[str, Any]:
        """What the command answers; no site had a problem with it."""
        answer = await command(self.sessions[who], line)
        assert not answer["problems"], answer
        return answer

    async def refused(self, who: str, line: str) -> str:
        """The words with which the command is refused, as a console prints them."""
        try:
            answer = await command(self.sessions[who], line)
        except Refused as error:
            return f"Error: {error}"
        raise AssertionError(f"{who} was allowed to {line}: {answer}")


@asynccontextmanager
async def admins(folder: Path, given: dict[str, Any], data: Path | None = None) -> AsyncIterator[Admins]:
    """Server, clients ``SITES``, and all users of the policy logged in."""
    project = {
        "admin_clients": [{"org": user["org"], "email": name} for name, user in given["users"].items()],
        "fl_clients": [{"org": given["sites"][name], "client_name": name} for name in SITES],
    }
    layout = Layout(dict.fromkeys(SITES, data), free_port(), project, {"auth": True, "org": "nvidia"}, given)
    made = World(folder, layout)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(made.stop_all)
        for name in (SERVER, *SITES):
            await made.start(name)
        sessions = {}
        for name in given["users"]:
            kit = load_kit(made.workspaces[name], SystemClock().now())
            sessions[name] = await stack.enter_async_context(log_in(kit, "test", LONG))
        made.session = sessions[SUPER]
        await made.logged_in(*SITES)
        yield Admins(made, sessions)


def denied(action: str, site: str) -> str:
    return f'Error: Authorization Error: you are not authorized {action} "{site}"'


async def test_the_acceptance_cases_of_the_example_policy(tmp_path: Path) -> None:
    job, plain = gated_job(tmp_path / "job", num_rounds=1, min_clients=1), codeless(tmp_path / "plain", TRAINER)
    async with admins(tmp_path / "w", policy()) as at:
        train, deploy, view = "for training actions on site", "to deploy MMAR to", "to view info of site"

        # Super may do everything, and stages both jobs; whoever may not upload is told so before a byte is sent.
        for folder in (job, plain):
            await at.done(SUPER, f"upload_folder {folder}")
        assert await at.refused(SECURE, f"upload_folder {plain}") == denied("to upload MMAR to", "server")
        await at.done(SUPER, "set_run_number 1")
        assert await at.refused(SECURE, "set_run_number 2") == denied(train, "server")

        # The secure hospital's own lead deploys, trains and operates there and nowhere else.
        assert texts(await at.done(SECURE, "deploy job client client4"), "client4") == ["MMAR deployed."]
        for site in ("client3", "org1-a"):
            assert await at.refused(SECURE, f"deploy job client {site}") == denied(deploy, site)
            assert await at.refused(SECURE, f"shutdown client {site}") == denied("to operate site", site)
        # client4 would be allowed, client3 is not: nothing is done at either.
        assert await at.refused(SECURE, "abort client client4 client3") == denied(train, "client3")
        assert await at.refused(SECURE, "check_status client client4") == denied(view, "client4")

        # Clara's refusal, for whoever is of another hospital; and a strict hospital takes no code.
        assert await at.refused(ORG1, "deploy job client client4") == denied(deploy, "client4")
        assert await at.refused(ORG1, "deploy job client org1-a") == (
            'Error: Authorization Error: the MMAR contains custom code, which is not allowed on site "org1-a"'
        )
        assert texts(await at.done(ORG1, "deploy plain client org1-a"), "org1-a") == ["MMAR deployed."]
        assert not (at.world.workspaces["client3"] / "run_1").exists()

        # A site researcher trains and looks at the own site alone.
        assert texts(await at.done(ORG2, "check_status client client3"), "client3")
        for line, words in (
            ("check_status client client4", denied(view, "client4")),
            ("check_status client", denied(view, "client4")),
            ("check_status server", denied(view, "server")),
            ("deploy plain client client3", denied(deploy, "client3")),
            ("start client client4", denied(train, "client4")),
            ("abort server", denied(train, "server")),
            ("restart server", denied("to operate site", "server")),
            ("remove_client client3", denied("to operate site", "client3")),
            ("delete_run_number 1", denied(train, "server")),
            ("set_timeout 1", denied(train, "server")),
            ("submit_job " + str(plain), denied(train, "server")),
        ):
            assert await at.refused(ORG2, line) == words, line

        # All of it through one run: the lead of the secure hospital starts and aborts its client.
        await at.done(SUPER, "deploy job server")
        await at.done(SUPER, "start server")
        assert texts(await at.done(SECURE, "start client client4"), "client4") == ["Starting the client..."]
        assert (await at.world.ended(1))[-1].kind == "run_finished"
        assert (await at.done(SECURE, "shutdown client client4"))["texts"]
        assert await at.world.wait("client4") == 0

        # Whoever is refused may ask why.
        answer = await at.done(ORG2, "eval_right siteresearcher@org2.com deploy_self client3 client4")
        assert [found["result"] for found in answer["answers"]] == ["False", "False"]
        assert texts(await at.done(ORG2, "taskname")) == ["demo"]


async def test_a_submitted_job_goes_only_where_its_submitter_may_bring_it(tmp_path: Path) -> None:
    given = policy()
    given["orgs"]["org2"] = ["general", "relaxed"]
    async with (
        gates(tmp_path / "data", ("client3", 0)) as (gate,),
        admins(tmp_path / "w", given, tmp_path / "data") as at,
    ):
        # One site allows no code, one does not know the submitter's role; the third takes part.
        job = gated_job(tmp_path / "job", num_rounds=1, min_clients=1)
        run = int((await at.done(STUDY, f"submit_job {job}"))["run"])
        why = {
            "org1-a": 'Authorization Error: the MMAR contains custom code, which is not allowed on site "org1-a"',
            "client4": 'Authorization Error: you are not authorized to deploy MMAR to "client4"',
        }
        told = [await at.world.until("client_not_invited", run, client=site) for site in why]
        assert [event.data["reason"] for event in told] == list(why.values())
        await gate.reached()

        # Nor does a site get it that logs in later.
        await at.world.stop("org1-a")
        await at.world.start("org1-a")
        later = await at.world.until("client_not_invited", run, told[-1].number, client="org1-a")
        assert later.data["reason"] == why["org1-a"]
        gate.open()
        events = await at.world.ended(run)
        assert events[-1].kind == "run_finished"
        assert {event.data["client"] for event in events if event.kind == "update_accepted"} == {"client3"}
        assert not any((at.world.workspaces[site] / "run_1").exists() for site in why)


async def test_whoever_may_only_train_at_the_server_brings_it_no_job(tmp_path: Path) -> None:
    given = policy()
    given["groups"]["general"]["role_rights"]["lead_study"] = {"train_all": True, "view_all": True}
    async with admins(tmp_path / "w", given) as at:
        job = gated_job(tmp_path / "job", num_rounds=1, min_clients=1)
        assert await at.refused(STUDY, f"submit_job {job}") == denied("to deploy MMAR to", "server")
        assert (await at.world.session.facts("list_runs"))["runs"] == []
