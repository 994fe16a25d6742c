"""Free space is promised once, whoever asks for it at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.clock import ManualClock, SystemClock
from rondo.base.errors import NoSpace
from rondo.base.room import MARGIN, free_bytes, in_words
from rondo.pki.kit import Kit
from rondo.pki.vouchers import vouch
from rondo.server.room import LAPSE, Room
from rondo.simulator.local import ADMIN, SERVER
from rondo.wire import rondo_pb2 as pb
from tests.server.house import house

MIB = 1 << 20


class Disk:
    """``free`` bytes."""

    def __init__(self, folder: Path, free: int) -> None:
        self.free = free + MARGIN
        self.clock = ManualClock(SystemClock().now())
        self.room = Room(folder, self.clock, lambda _: self.free)


def test_ten_who_ask_at_once_are_not_promised_the_same_space(tmp_path: Path) -> None:
    disk, refused = Disk(tmp_path, 35 * MIB), []
    for number in range(10):
        try:
            disk.room.promise(tmp_path / f"{number}" / "update", 10 * MIB, alone=True)
        except NoSpace as error:
            refused.append(str(error))
    assert len(refused) == 7
    assert refused[0] == (
        f"{tmp_path}: this upload needs 10.0 MiB and 64.0 MiB to spare, 69.0 MiB are free "
        "(free space on the server; the client tries again)"
    )
    with pytest.raises(NoSpace, match="the new model"):
        disk.room.need(6 * MIB, "the new model")
    disk.room.need(5 * MIB, "the new model")
    disk.room.settled(tmp_path / "0" / "update")
    disk.room.promise(tmp_path / "9" / "update", 10 * MIB, alone=True)


def test_what_has_arrived_is_counted_once(tmp_path: Path) -> None:
    """Bytes that are here are gone from the free space; only the rest is still to be kept for their sender."""
    disk, into = Disk(tmp_path, 10 * MIB), tmp_path / "a" / "update"
    disk.room.promise(into, 8 * MIB, alone=True)
    into.parent.mkdir()
    (into.parent / "update.part").write_bytes(b"\1" * 6 * MIB)
    disk.free -= 6 * MIB
    disk.room.need(2 * MIB, "another one")
    with pytest.raises(NoSpace):
        disk.room.need(2 * MIB + 1, "another one")
    disk.room.promise(into, 8 * MIB, alone=True)  # the same upload goes on after its line was cut
    with pytest.raises(NoSpace):
        disk.room.need(2 * MIB + 1, "another one")


def test_a_sender_who_begins_another_update_or_is_not_heard_of_holds_no_space(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 10 * MIB)
    disk.room.promise(tmp_path / "a" / "first", 8 * MIB, alone=True)
    disk.room.promise(tmp_path / "a" / "second", 7 * MIB, alone=True)
    with pytest.raises(NoSpace):
        disk.room.promise(tmp_path / "a" / "beside", 4 * MIB, alone=False)
    disk.room.promise(tmp_path / "a" / "beside", 3 * MIB, alone=False)
    with pytest.raises(NoSpace):
        disk.room.need(1, "another one")
    disk.clock.advance(LAPSE + 1)
    disk.room.need(10 * MIB, "another one")


async def test_uploads_are_refused_as_soon_as_the_disk_is_promised_away(tmp_path: Path, kits: dict[str, Kit]) -> None:
    """The real disk, and packages: as many are taken as fit, though not a byte of them is here yet."""
    async with house(tmp_path / "w") as made:
        admin = kits[ADMIN]
        lead, intake = await made.client(admin.name), made.intake(kits[SERVER])
        count = max(3, -(-free_bytes(tmp_path) // (15 << 30)))
        size = int((free_bytes(tmp_path) - MARGIN) / (count + 0.5))

        def offer(number: int) -> pb.Offer:
            file = pb.FileRef(digest=f"blake3:{number:064x}", size=size)
            voucher = vouch(file.digest, admin.project, admin.cert_pem, admin.key_pem)
            return pb.Offer(file=file, package=pb.Package(name="job", voucher=voucher))

        for number in range(count):
            assert (await intake.offer(lead, offer(number))).offset == 0
        with pytest.raises(NoSpace, match="this upload needs"):
            await intake.offer(lead, offer(count))


WORDS = {0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 10 << 20: "10.0 MiB", 3 << 50: "3072.0 TiB"}


@pytest.mark.parametrize("size", WORDS)
def test_sizes_in_words(size: int) -> None:
    assert in_words(size) == WORDS[size]
