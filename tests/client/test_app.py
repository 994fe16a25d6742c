"""The client program against a server that answers as a test says: what ends a client, and what it waits out."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput, LedgerBusy, NoSpace, ProtocolBroken, RondoError
from rondo.client.app import join
from rondo.jobs.package import pack
from rondo.net import methods
from rondo.net.calls import Call, Handlers
from rondo.net.kits import load_kit
from rondo.net.server import open_server
from rondo.pki.kit import Kit
from rondo.pki.vouchers import vouch
from rondo.policy.site import FILE
from rondo.simulator.local import ADMIN, SERVER, Layout, make_kits
from rondo.tensors.digest import file_digest
from rondo.wire import rondo_pb2 as pb
from tests.jobs.folders import Entry, make_zip, tree
from tests.ports import free_port
from tests.real.world import write_job

LEAVE = pb.Order(leave=pb.Leave(reason="the test is over"))


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kit]:
    folder = tmp_path_factory.mktemp("kits")
    made = make_kits(folder, Layout({"a": None}, port=free_port()), SystemClock())
    return {name: load_kit(path, SystemClock().now()) for name, path in made.items()}


@pytest.fixture(autouse=True)
def grpc_ends() -> Iterator[None]:
    """grpc.aio's own thread ends with the last of its objects; errors that were caught hold some in cycles."""
    yield
    gc.collect()


@asynccontextmanager
async def answering(
    kit: Kit, *waits: pb.Order | RondoError | str, logins: tuple[RondoError, ...] = (), name: str = ""
) -> AsyncIterator[dict[str, pb.Report]]:
    """A server that answers waiting calls with ``waits``, one after the other; the first log-ins with errors. A kind
    of report among them: the order before it stands until that was reported. Yields what was."""
    steps, troubles = [*waits, LEAVE], iter(logins)
    reports: dict[str, pb.Report] = {}
    reported = asyncio.Condition()

    async def register(hello: pb.Hello, call: Call) -> pb.Welcome:
        for trouble in troubles:
            raise trouble
        return pb.Welcome(token="t", instance=name or hello.name, heartbeat=60.0, project=hello.project)

    async def wait(holding: pb.Holding, call: Call) -> pb.Order:
        while [kind for kind in steps[1:2] if isinstance(kind, str) and kind in reports]:
            del steps[:2]
        step = steps[0]
        if isinstance(step, RondoError):
            steps.pop(0)
            raise step
        assert isinstance(step, pb.Order)
        if (step.HasField("engage") and holding.run) or (step.HasField("work") and holding.phase != "ready"):
            kind = str(steps[1])
            async with reported:  # as a server holds a call on which nothing is to be changed
                await reported.wait_for(lambda: kind in reports)
            return pb.Order(nothing=pb.Nothing(waiting_for="the next step"))
        return step

    async def report(said: pb.Report, call: Call) -> pb.ReportReply:
        async with reported:
            reports[said.WhichOneof("what") or ""] = said
            reported.notify_all()
        return pb.ReportReply(counted=True)

    async def goodbye(_: pb.Quit, call: Call) -> pb.QuitReply:
        return pb.QuitReply()

    handlers: Handlers = {
        methods.REGISTER: register, methods.WAIT: wait, methods.REPORT: report, methods.QUIT: goodbye,
    }  # fmt: skip
    async with open_server(kit, handlers, [kit.port], "localhost"):
        yield reports


@pytest.mark.parametrize(
    "trouble", [lambda: NoSpace("disk full"), lambda: LedgerBusy("locked"), lambda: RondoError("a defect")]
)
async def test_trouble_of_the_server_is_waited_out(kits: dict[str, Kit], trouble: Callable[[], RondoError]) -> None:
    async with answering(kits[SERVER], trouble(), LEAVE, logins=(trouble(),)):
        assert await join(kits["a"], "test") == ""


async def test_a_request_that_the_server_cannot_read_is_not_repeated_for_ever(kits: dict[str, Kit]) -> None:
    async with answering(kits[SERVER], BadInput("what is this?")):
        with pytest.raises(BadInput, match="what is this"):
            await join(kits["a"], "test")


async def test_a_client_that_finds_no_server_can_be_stopped(kits: dict[str, Kit], tmp_path: Path) -> None:
    stop = asyncio.Event()
    joining = asyncio.create_task(join(kits["a"], "test", stop=stop))
    await asyncio.wait([joining], timeout=0.1)  # whatever it does first: it finds nobody
    stop.set()
    async with asyncio.timeout(5):
        assert await joining == ""


@pytest.mark.parametrize("name", ["../../etc", "a/../startup", "b", "a_x", "a_1/.."])
async def test_a_name_that_would_be_another_folder_is_not_taken(kits: dict[str, Kit], name: str) -> None:
    """A server that says which folder a job goes into could put it into the kit, or over the site's policy."""
    async with answering(kits[SERVER], LEAVE, name=name):
        with pytest.raises(ProtocolBroken, match="the server calls this client"):
            await join(kits["a"], "test")


async def test_a_site_does_not_begin_with_a_policy_that_it_cannot_read(kits: dict[str, Kit]) -> None:
    path = kits["a"].workspace / FILE
    path.write_text("[limits]\ncpu = 4\n")
    try:
        with pytest.raises(BadInput, match=r"\[limits\]: unknown key 'cpu' \(did you mean 'cpus'"):
            await join(kits["a"], "test")
    finally:
        path.unlink()


HUGE = pb.FileRef(digest=f"blake3:{'a' * 64}", size=1 << 55)  # as no disk has room for
NO_ROOM = r"needs \d{5}\.\d TiB and 64\.0 MiB to spare, .* are free \(free space at this site\)"


def engaging(kits: dict[str, Kit], package: pb.FileRef, voucher: str | None = None) -> pb.Order:
    """The order to take part in a run of that package, signed by an admin where nothing else is given."""
    lead = kits[ADMIN]
    signed = vouch(package.digest, lead.project, lead.cert_pem, lead.key_pem) if voucher is None else voucher
    return pb.Order(engage=pb.Engage(run=1, number=1, job="job", package=package, voucher=signed))


async def test_a_job_for_which_there_is_no_room_is_not_fetched(kits: dict[str, Kit]) -> None:
    engage = engaging(kits, HUGE)
    async with answering(kits[SERVER], engage, "prepare_failed", LEAVE) as reports:
        await join(kits["a"], "test")
    assert re.search(f"this job, packed and unpacked, {NO_ROOM}", _failure(reports))


async def test_a_model_for_which_there_is_no_room_is_not_fetched(kits: dict[str, Kit], tmp_path: Path) -> None:
    file = pack(write_job(tmp_path / "job"), tmp_path / "job.zip")
    package = pb.FileRef(digest=file.digest, size=file.size, content=file.path.read_bytes())
    engage = engaging(kits, package)
    work = pb.Order(work=pb.Work(run=1, round=3, rounds=4, task="validate", model=HUGE))
    async with answering(kits[SERVER], engage, "prepared", work, "task_failed", LEAVE) as reports:
        await join(kits["a"], "test")
    assert re.search(f"the model, and an update, {NO_ROOM}", _failure(reports))
    assert reports["task_failed"].round == 3


FORGETFUL = """
import os, tempfile

class Clinic:
    def __init__(self, site):
        with open(os.path.join(tempfile.mkdtemp(), "scan"), "w") as left:
            print("it lies in", left.name, flush=True)

    def train(self, model, task):
        return model, 1
"""


async def test_what_a_run_left_in_its_sandbox_is_not_there_for_the_next(kits: dict[str, Kit], tmp_path: Path) -> None:
    """Also where the client looks after something else at that time, so that its workspace is not swept as a whole."""
    file = pack(write_job(tmp_path / "job", code=FORGETFUL), tmp_path / "job.zip")
    package = pb.FileRef(digest=file.digest, size=file.size, content=file.path.read_bytes())
    path, site = kits["a"].workspace / FILE, kits["a"].workspace
    path.write_text('[worker]\nsandbox = "bubblewrap"\n')
    try:
        async with answering(kits[SERVER], engaging(kits, package), "prepared", LEAVE):
            await join(kits["a"], "test")
    finally:
        path.unlink()
    said = re.search("it lies in (.*)\n", (site / "run_1" / "a.log").read_text())
    assert said is not None and Path(said[1]).is_relative_to(site / "cache" / "a" / "made")
    assert not (site / "cache" / "a" / "made").exists()


async def test_a_package_cannot_reach_the_sites_policy(kits: dict[str, Kit], tmp_path: Path) -> None:
    """Signed by an admin who means harm, handed out by a server that does not look."""
    good = [Entry(name, content) for name, content in sorted(tree(write_job(tmp_path / "job")).items())]
    path = kits["a"].workspace / FILE
    for name in (f"../../{FILE}", f"../../startup/{FILE}", str(path), "../mmar_a/../../site_policy.toml"):
        archive = make_zip(tmp_path / "job.zip", [*good, Entry(name, b'code = "allow"')])
        file = file_digest(archive)
        package = pb.FileRef(digest=file.digest, size=file.size, content=archive.read_bytes())
        async with answering(kits[SERVER], engaging(kits, package), "prepare_failed", LEAVE) as reports:
            await join(kits["a"], "test")
        assert "entry" in _failure(reports) and not path.exists()
        assert not list(kits["a"].workspace.rglob(FILE))


@pytest.mark.parametrize("voucher", ["", "AAAA\nnot a certificate"])
async def test_an_unsigned_job_is_not_fetched_and_the_client_goes_on(kits: dict[str, Kit], voucher: str) -> None:
    async with answering(kits[SERVER], engaging(kits, HUGE, voucher), "prepare_failed", LEAVE) as reports:
        assert await join(kits["a"], "test") == ""
    failed = reports["prepare_failed"].prepare_failed
    assert failed.site == "a" and "sign" in failed.error


def _failure(reports: dict[str, pb.Report]) -> str:
    return "".join(said.prepare_failed.error + said.task_failed.error for said in reports.values())
