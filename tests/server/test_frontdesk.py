"""What an admin may do at each door."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, NotFound, Refused
from rondo.net.calls import Call, Peer
from rondo.pki.kit import Kit
from rondo.pki.trust import Trust
from rondo.server.frontdesk import Frontdesk
from rondo.server.gateway import Gateway
from rondo.server.intake import Intake
from rondo.server.sessions import Sessions
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb
from tests.policy.policies import project1
from tests.server.house import House, house

MODEL = b"a model"
DIGEST = "blake3:ecb9d2d8ac08ff4b5d9e5c7a4ab8e4f6a1ad4d4bb5b0cb3d9cbd4c4f4e0b9a2f"


class Doors:
    """Where an admin comes in, and files go out."""

    def __init__(self, made: House, kit: Kit) -> None:
        self.kit = kit
        self.sessions = Sessions(made.store, kit, lambda _: None, made.live.newcomer, made.live.left)
        intake = Intake(made.store, self.sessions, made.live, made.rights, Trust(kit.ca_pem, kit.project))
        self.gateway = Gateway(made.store, self.sessions, intake, made.live, made.rights)
        self.desk = Frontdesk(made.store, self.sessions, made.live, made.rights, made.front)

    async def log_in(self, name: str) -> Call:
        peer = Peer(name, "admin", "f", "h:1")
        hello = pb.Hello(project=self.kit.project, name=name, protocol=PROTOCOL, role="admin")
        return Call("m", peer, (await self.gateway.register(hello, Call("m", peer))).token)

    async def pull(self, name: str) -> bytes:
        request = pb.PullRequest(file=pb.FileRef(digest=DIGEST, size=len(MODEL)))
        async with aclosing(self.gateway.pull(request, await self.log_in(name))) as chunks:  # type: ignore[type-var]
            return b"".join([chunk async for chunk in chunks])

    async def pull_place(self, name: str, place: str) -> bytes:
        request = pb.PullRequest(file=pb.FileRef(place=place, size=5))
        async with aclosing(self.gateway.pull(request, await self.log_in(name))) as chunks:  # type: ignore[type-var]
            return b"".join([chunk async for chunk in chunks])

    async def command(self, name: str, *args: str) -> list[bytes]:
        request = pb.CommandRequest(name=name, args=args)
        return [row.json async for row in self.desk.command(request, await self.log_in("admin@admin.com"))]


async def test_files_go_only_to_admins_who_may_see_the_server(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w", project1()) as made:
        doors = Doors(made, kit)
        (tmp_path / "w" / "run_1").mkdir()
        (tmp_path / "w" / "run_1" / "log.txt").write_text("lines")
        assert await doors.pull_place("admin@admin.com", "run_1/log.txt") == b"lines"
        with pytest.raises(Refused, match='not authorized to view info of site "server"'):
            await doors.pull_place("siteresearcher@org2.com", "run_1/log.txt")


async def test_a_model_goes_only_to_admins_who_may_see_the_server(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w", project1()) as made:
        doors = Doors(made, kit)
        (tmp_path / "model").write_bytes(MODEL)
        made.store.blobs.adopt(tmp_path / "model", DIGEST)
        assert await doors.pull("admin@admin.com") == MODEL
        with pytest.raises(Refused, match='not authorized to view info of site "server"'):
            await doors.pull("siteresearcher@org2.com")


async def test_watching_a_run_that_there_is_not_is_refused(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        doors = Doors(made, kit)
        call = await doors.log_in("x@y")
        with pytest.raises(NotFound, match="there is no run 7"):
            await anext(doors.desk.watch(pb.WatchRequest(run=7, follow=True), call))


async def test_a_run_number_fits_the_wire(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w") as made:
        doors = Doors(made, kit)
        assert await doors.command("set_run_number", str(10**9))
        with pytest.raises(BadInput, match="at most 1000000000"):
            await doors.command("set_run_number", str(10**9 + 1))
