"""What is shown of files on their way."""

from __future__ import annotations

from rondo.base.clock import ManualClock
from rondo.console.transfers import Transfers

MIB = 1 << 20


def test_a_transfer_is_shown_from_its_first_byte_to_its_last() -> None:
    told: list[None] = []
    clock = ManualClock()
    transfers = Transfers(lambda: told.append(None), clock)
    one = transfers.begin("upload_folder big", "big")
    two = transfers.begin("download_folder run_1", "")
    assert transfers.lines() == ["upload_folder big: being prepared", "download_folder run_1: being prepared"]
    transfers.moved(one, 2 * MIB, 8 * MIB)  # these were there before
    clock.advance(2.0)
    transfers.moved(one, 4 * MIB, 8 * MIB)
    bar = "━" * 12 + "┄" * 12
    assert transfers.lines()[0] == f"upload_folder big  {bar}  50%  4.0 MiB of 8.0 MiB, 1.0 MiB/s"
    assert transfers.sending("big") is one and transfers.sending("other") is None
    transfers.end(one)
    assert transfers.sending("big") is None and list(transfers.running) == [two.number] == [2] and len(told) == 3
