"""Updates that lie, sent over real TLS with a real kit: refused with a reason, and the round goes on.

Two clients share a model of zeros. "a" is an honest process and adds 1 in every round; "liar" is the test. In every
round it first lies, in one of the ways below, and then hands in an honest update that adds 3. So the model grows by
2 a round, if nothing of a lie ever counts and nobody is left unserved by one.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rondo.base.errors import RondoError
from rondo.base.spare import SPARE
from rondo.jobs.package import pack
from rondo.net import methods
from rondo.net.errors import status_of
from rondo.net.tuning import SMALL
from rondo.simulator.local import ADMIN, SERVER
from rondo.wire import rondo_pb2 as pb
from tests.real.gates import command, gates, level
from tests.real.hostile import (
    Arrays,
    Stranger,
    arrays_of,
    digest_of,
    header_of,
    refused,
    stranger,
    tensors,
    with_header,
)
from tests.real.test_worker_kills import worker_of
from tests.real.world import World, world, write_job

CODE = """
import numpy as np
import rondo


def new_model():
    return {
        "bias": np.zeros((2, 3), np.float32), "count": np.array(0, np.int64), "half": np.zeros(8, np.float16),
        "w": np.zeros(1000, np.float32),
    }


class Clinic:
    def __init__(self, site):
        self.site = site

    def train(self, model, task):
        self.wait(task)
        return rondo.Update({**model, "w": model["w"] + 1}, samples=1.0)

    def validate(self, model, task):
        if task.round == task.rounds:  # the round that only measures
            self.wait(task)
        return 1.0, {"level": 1.0}

    def wait(self, task):
        gate = self.site.data and self.site.data / f"{self.site.name}-{task.round}"
        if gate and gate.with_suffix(".knock").exists():
            gate.with_suffix(".knock").write_bytes(b"x")
            with open(gate.with_suffix(".pass"), "rb", buffering=0) as through:
                through.read(1)
"""


class Court:
    """One run; what "liar" does in it."""

    def __init__(self, made: World, run: int, liar: Stranger) -> None:
        self.made, self.run, self.liar = made, run, liar
        self.round = 0
        self.model: dict[str, Any] = {}

    @property
    def honest(self) -> bytes:
        return self.adding(3)

    def adding(self, number: float) -> bytes:
        return tensors({**self.model, "w": self.model["w"] + np.float32(number)})

    @property
    def spooled(self) -> list[Path]:
        """What the server holds of the liar's files. A spare is only room for the next one."""
        folder = self.made.folder / SERVER / "spool" / "liar"
        return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SPARE)

    async def called(self) -> None:
        """The next round is open for the liar, and it has the model."""
        work = await self.liar.work()
        assert self.spooled == []  # nothing is left of the round before
        assert digest_of(work.model.content) == work.model.digest  # so small a model comes with the task
        self.round, self.model = work.round, arrays_of(await self.liar.pull(work.model))

    async def hears(self, answer: Awaitable[Any], *words: str) -> RondoError:
        """The answer is a refusal with these words, which whoever watches the run sees as well."""
        before = await self.made.last_event()
        error = await refused(answer)
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{missing} not in {error}"
        told = await self.made.until("update_refused", self.run, after=before, client="liar")
        assert error.what in told.data["reason"]
        return error

    async def recants(self) -> None:
        """The honest update counts, in the same round, and the round ends with both."""
        await self.liar.send(self.honest, round=self.round)
        ended = await self.made.until("round_committed", self.run, round=self.round)
        assert ended.data["contributors"] == ["a", "liar"]


@asynccontextmanager
async def court(folder: Path, rounds: int, data: Path | None = None) -> AsyncIterator[Court]:
    clients = {"a": data, "liar": None}
    async with (
        world(folder / "w", clients, absent=["liar"]) as made,
        stranger(made.workspaces["liar"]) as liar,
    ):
        job = write_job(folder / "job", code=CODE, num_rounds=rounds, final_validation=False)
        run = await made.session.submit(job)
        await liar.take_part(run)
        held = Court(made, run, liar)
        yield held
        events = await made.ended(run)
        assert events[-1].kind == "run_finished", events[-1]
        await made.session.model(run, "last", folder / "last.safetensors")
        assert level(folder / "last.safetensors") == 2.0 * rounds
        assert await made.admin("check_status server")
        assert held.spooled == []


def changed(**arrays: Any) -> Callable[[Arrays], bytes]:
    """An update with these tensors instead of its own; None leaves one out."""
    return lambda model: tensors({k: v for k, v in {**model, **arrays}.items() if v is not None})


def spoilt(name: str, index: int, value: float) -> Callable[[Arrays], bytes]:
    def make(model: Arrays) -> bytes:
        copy = np.array(model[name])
        copy.reshape(-1)[index] = value
        return tensors({**model, name: copy})

    return make


def headed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Arrays], bytes]:
    """A sound file whose header was changed afterwards; what ``change`` returns, if anything, is the header."""

    def make(model: Arrays) -> bytes:
        header = header_of(tensors(model))
        replaced = change(header)
        return with_header(tensors(model), header if replaced is None else replaced)

    return make


def entry(name: str, **fields: Any) -> Callable[[Arrays], bytes]:
    return headed(lambda header: header[name].update(fields))


TENSORS: dict[str, tuple[Callable[[Arrays], bytes], tuple[str, ...]]] = {
    "missing": (changed(bias=None), ("'bias' is missing",)),
    "extra": (changed(more=np.zeros(2, np.float32)), ("'more' is not in the model",)),
    "renamed": (lambda m: changed(w=None, v=m["w"])(m), ("'w' is missing (renamed to 'v'?)",)),
    "reshaped": (changed(bias=np.zeros((3, 2), np.float32)), ("'bias' has shape [3, 2] instead of [2, 3]",)),
    "retyped": (changed(w=np.zeros(1000, np.float64)), ("'w' has dtype F64 instead of F32",)),
    "NaN": (spoilt("w", 617, math.nan), ("tensor 'w' holds NaN or infinity", "index 617")),
    "infinite": (spoilt("bias", 5, -math.inf), ("tensor 'bias' holds NaN or infinity", "index 5")),
    "half NaN": (spoilt("half", 7, math.nan), ("tensor 'half' holds NaN or infinity", "index 7")),
    "header too long": (lambda m: (1 << 62).to_bytes(8, "little") + tensors(m)[8:], ("header of 4611686018427387904",)),
    "header of nothing": (lambda m: b"\0" * 8 + tensors(m)[8:], ("header of 0 bytes",)),
    "header no JSON": (headed(lambda _: b"\x80\x05pickled"), ("header is not a JSON object",)),
    "header deep": (headed(lambda _: b'{"w":' + b"[" * 50_000), ("header is not JSON",)),
    "header ends early": (lambda m: tensors(m)[:40], ("ends within its header",)),
    "empty": (lambda _: b"", ("ends within its header, after 0 bytes",)),
    "overlapping": (entry("w", data_offsets=[0, 4000]), ("header lies: tensor", "overlaps")),
    "gap": (headed(lambda h: h.pop("bias") and None), ("header lies: tensor", "bytes unused")),
    "shape beyond": (entry("w", shape=[2**40]), ("header lies: tensor 'w' has 4000 bytes",)),
    "shape negative": (entry("w", shape=[-1000]), ("tensor 'w' has a shape that is negative",)),
    "dtype unknown": (entry("w", dtype="OBJECT"), ("tensor 'w': ", "OBJECT")),
    "no tensors": (lambda _: tensors({}), ("'bias' is missing", "'w' is missing")),
    "data too short": (lambda m: tensors(m)[:-4], ("ends 4 bytes too early",)),
    "data too long": (lambda m: tensors(m) + b"\0" * 4, ("goes on after its last tensor",)),
}


async def test_a_file_that_is_no_update_of_the_model(tmp_path: Path) -> None:
    async with court(tmp_path, len(TENSORS)) as held:
        for name, (make, words) in TENSORS.items():
            await held.called()
            error = await held.hears(held.liar.send(make(held.model), round=held.round), *words)
            assert error.code == "BadInput", name
            assert "update of liar" in str(error), name
            assert held.spooled == [], name
            await held.recants()


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "no samples": ({"samples": 0.0}, "samples must be"),
    "negative samples": ({"samples": -1.0}, "samples must be"),
    "NaN samples": ({"samples": math.nan}, "samples must be"),
    "infinite samples": ({"samples": math.inf}, "samples must be"),
    "samples to drown all others": ({"samples": 1e300}, "samples must be"),
    "negative steps": ({"steps": -1.0}, "steps must"),
    "NaN steps": ({"steps": math.nan}, "steps must"),
    "steps to drown all others": ({"steps": 1e300}, "steps must"),
    "kind": ({"kind": "pickle"}, "unknown kind 'pickle'"),
    "metric": ({"metrics": {"auc": math.nan}}, "metric 'auc' is nan"),
    "local metric": ({"local_metrics": {"auc": -math.inf}}, "metric 'auc' is -inf"),
    "many metrics": ({"metrics": {f"m{number}": 1.0 for number in range(20_000)}}, "20000 metrics"),
    "long name": ({"metrics": {"m" * 5000: 1.0}}, "'mmm"),
    "huge": ({"size": 1 << 50}, f"{1 << 50} bytes of liar for a model of"),
    "as huge as can be said": ({"size": (1 << 64) - 1}, "bytes of liar for a model of"),
    "omits what is there": ({"omitted": ["w"]}, "'w' is declared omitted but was sent"),
    "omits what is nowhere": ({"omitted": ["v"]}, "'v' is omitted but the model has no such tensor"),
    "digest of something else": ({"digest": digest_of(b"x")}, f"announced as {digest_of(b'x')}"),
    "digest of no kind": ({"digest": "../../../etc/passwd"}, "../../../etc/passwd"),
}


async def test_a_claim_that_cannot_be_true(tmp_path: Path) -> None:
    async with court(tmp_path, len(CLAIMS)) as held:
        for name, (claim, words) in CLAIMS.items():
            await held.called()
            await held.hears(held.liar.send(held.honest, round=held.round, **claim), words)
            assert held.spooled == [], name
            await held.recants()


async def test_a_transfer_that_is_not_what_was_offered(tmp_path: Path) -> None:
    lies = (_more_bytes, _fewer_bytes, _another_rest, _given_up, _uploads_of_others, _files_of_others, _along)
    async with court(tmp_path, len(lies)) as held:
        for lie in lies:
            await held.called()
            await lie(held, tmp_path)
            await held.recants()


async def _more_bytes(held: Court, _: Path) -> None:
    """More than announced: none of them is kept."""
    upload = (await held.liar.offer(held.honest, round=held.round)).upload
    await held.hears(held.liar.push(upload, held.honest, b"\0"), f"more than the {len(held.honest)} bytes announced")
    assert held.spooled == []


async def _fewer_bytes(held: Court, _: Path) -> None:
    """They are kept, but do not count; the next offer is told how many, and only from there it goes on."""
    liar, content, half = held.liar, held.honest, len(held.honest) // 2
    upload = (await liar.offer(content, round=held.round)).upload
    error = await refused(liar.push(upload, content[:half]))
    assert (status_of(error), error.what) == ("UNAVAILABLE", f"the transfer ended after {half} of {2 * half} bytes")
    again = await liar.offer(content, round=held.round)
    assert (again.upload, again.offset) == (upload, half)
    for wrong in (0, half - 1, half + 1, 10**19):
        assert (await refused(liar.push(upload, content[half:], offset=wrong))).code == "Conflict"
    assert (await refused(liar.push(upload, content[half:], offset="-1"))).code == "BadInput"


async def _another_rest(held: Court, _: Path) -> None:
    """The rest that comes is not that of the file begun."""
    content, half = held.honest, len(held.honest) // 2
    upload = (await held.liar.offer(content, round=held.round)).upload
    await refused(held.liar.push(upload, content[:half]))
    await held.hears(held.liar.push(upload, held.adding(4)[half:], offset=half), "announced as")
    assert held.spooled == []


async def _given_up(held: Court, _: Path) -> None:
    """A part that nobody will ever complete stays only until the next file comes."""
    other = held.adding(4)
    upload = (await held.liar.offer(other, round=held.round)).upload
    await refused(held.liar.push(upload, other[:100]))
    assert len(held.spooled) == 1


async def _uploads_of_others(held: Court, _: Path) -> None:
    """What was never offered, or by somebody else, or by whom the admin has sent out of the run."""
    async with stranger(held.made.workspaces["liar"]) as twin:
        assert twin.instance == "liar_1"
        upload = (await held.liar.offer(held.honest, round=held.round)).upload
        for unknown in (upload, "", "0" * 64, "../../etc"):
            assert (await refused(twin.push(unknown, held.honest))).code == "NotFound", unknown
        await command(held.made.session, "abort client liar_1")
        twin.run = held.run
        error = await refused(twin.send(held.honest, round=held.round))
        assert error.what == f"Contribution refused: liar_1 takes no part in run {held.run}"


async def _along(held: Court, _: Path) -> None:
    """What comes with the offer is another file than the one offered, no update, or more than may come along."""
    liar, content, nan = held.liar, held.honest, spoilt("w", 0, math.nan)(held.model)
    big = bytes(SMALL + 1)
    for wrong, offered in ((content[:-1], content), (content + b"\0", content), (held.adding(4), content), (big, big)):
        await held.hears(liar.offer(offered, along=wrong, round=held.round), "bytes that are not")
    reply = await liar.offer(nan, along=nan, round=held.round)
    assert "tensor 'w' holds NaN or infinity" in reply.refused and reply.code == "BadInput"
    assert held.spooled == []


async def _files_of_others(held: Court, folder: Path) -> None:
    """A client sends no packages and gets only its own files, an admin sends no updates."""
    assert (await refused(held.liar.smuggle("job", b"PK"))).what == "a client may not do this"
    async with stranger(held.made.workspaces[ADMIN], "admin") as admin:
        admin.run = held.run
        assert (await refused(admin.send(held.honest, round=held.round))).what == "an admin may not do this"
        assert (await refused(admin.take_part(held.run))).what == "an admin may not do this"
    job = write_job(folder / "next", code=CODE, num_rounds=0)
    await held.made.session.submit(job)  # a run that the liar is not invited to yet
    package = pack(job, folder / "next.zip")
    for digest in (package.digest, digest_of(b"anything")):
        error = await refused(held.liar.pull(pb.FileRef(digest=digest, size=package.size)))
        assert error.what == "this file is not, or no longer, for this client"


async def test_an_update_for_another_round_or_run_or_a_second_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with (
        gates(data, ("a", 0), ("a", 1)) as (first, second),
        court(tmp_path, 2, data) as held,
    ):
        liar, run, start = held.liar, held.run, "Contribution refused: "
        queued = await held.made.session.submit(write_job(tmp_path / "next", code=CODE, num_rounds=0))
        await held.called()
        content = held.honest
        for number in (1, -1, 2**31 - 1):
            await held.hears(liar.send(content, round=number), f"{start}round {number} of run {run} is not open")
        for foreign in (queued, 999, -1, 2**63 - 1):
            error = await refused(liar.send(content, round=0, run=foreign))
            assert error.what == f"{start}liar takes no part in run {foreign}"

        # Twice, while the round is open: the same is known already, another one is refused.
        await first.reached()
        await liar.send(content, round=0)
        assert (await liar.offer(content, round=0)).have
        await held.hears(liar.send(held.adding(9), round=0), f"{start}liar has already contributed to round 0")
        first.open()
        await held.made.until("round_committed", run, round=0)
        assert (await held.liar.offer(content, round=0)).have  # it asks again whether that has arrived

        # Too late: begun in round 0, whole in round 1.
        await second.reached()
        await held.hears(liar.send(held.adding(9), round=0), f"{start}it is for round 0, the current round is 1")
        await held.called()
        assert held.round == 1
        second.open()
        await held.recants()
        refusals = [e.data["reason"] for e in await held.made.ended(run) if e.kind == "update_refused"]
        assert len(refusals) == 5


async def test_an_update_that_comes_while_the_others_are_folded(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with (
        gates(data, ("a", 0), ("a", 1)) as (gate, last),
        world(tmp_path / "w", {"a": data, "liar": None}, absent=["liar"]) as made,
        stranger(made.workspaces["liar"]) as liar,
    ):
        job = write_job(tmp_path / "job", code=CODE, num_rounds=1, min_clients=1, wait_after_min_clients=0)
        run = await made.session.submit(job)
        await gate.reached()
        await liar.take_part(run)
        model = arrays_of(await liar.pull((await liar.work()).model))
        folding = worker_of(made.pid(SERVER))
        folding.suspend()
        gate.open()
        await made.until("round_folding", run, round=0)
        error = await refused(liar.send(tensors(model), round=0))
        assert error.what == "Contribution refused: round 0 is closed, aggregation has begun"
        folding.resume()

        # Nor does an answer to the wrong question count, or one that cannot be true.
        await last.reached()
        for lie, words in (
            ({"samples": 0.0}, "samples must be above 0"),
            ({"samples": math.nan}, "samples must be above 0"),
            ({"samples": 1.0, "metrics": {"auc": math.inf}}, "metric 'auc' is inf"),
        ):
            report = pb.Report(run=run, round=1, measured=pb.Measured(**lie))
            assert words in str(await refused(liar.channel.call(methods.REPORT, report)))
        report = pb.Report(run=run, round=0, measured=pb.Measured(samples=1.0))
        assert not (await liar.channel.call(methods.REPORT, report)).counted
        last.open()
        events = await made.ended(run)
        taken = [event.data["contributors"] for event in events if event.kind == "round_committed"]
        assert taken == [["a"], ["a"]]
