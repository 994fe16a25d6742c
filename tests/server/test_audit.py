"""The server's audit log: ledger and file say the same, whatever is killed or lost; what is changed in one is found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from rondo.base.chain import Head, Link, entry, linked
from rondo.base.clock import ManualClock
from rondo.base.errors import BadInput, NoSpace, Refused, RondoError
from rondo.base.journal import LOG, Fault, Journal
from rondo.ledger import audit, events
from rondo.ledger.ledger import Tx
from rondo.ledger.tables import audit as table
from rondo.net.calls import Call, Peer
from rondo.pki.kit import Kit
from rondo.server.audit import REFUSALS, AuditFile, Doorbook, open_audit
from rondo.server.proof import LATE, prove_server
from rondo.server.sessions import Sessions
from rondo.server.store import Store
from rondo.wire import PROTOCOL
from rondo.wire import rondo_pb2 as pb
from tests.server.house import house

LONG_AGO = 1000.0
NOW = LONG_AGO + 2 * LATE


@asynccontextmanager
async def store(folder: Path, entries: int = 5) -> AsyncIterator[Store]:
    """A server whose ledger has some entries, and no file yet."""
    async with house(folder / "w", clock=ManualClock(LONG_AGO)) as made:
        for number in range(entries):
            await made.store.do(audit.tell, entry(LONG_AGO, "a", "act", str(number + 1)))
        yield made.store


async def written(at: Store) -> None:
    """What a start and a stop of the server do to the file."""
    file = AuditFile(at)
    await file.open()
    await file.close()


async def told(at: Store) -> list[Link]:
    return await at.read(audit.after, 0)


def found(at: Store, now: float = NOW) -> list[Fault]:
    return prove_server(at.folder, "", now).faults


def places(at: Store) -> list[str]:
    return [fault.where for fault in found(at)]


async def test_the_file_says_what_the_ledger_says(tmp_path: Path) -> None:
    async with store(tmp_path) as at:
        async with open_audit(at):
            await at.do(audit.tell, entry(LONG_AGO, "b", "act"))
        links = await told(at)
        assert [link.entry.action for link in links] == [*["act"] * 5, "server_started", "act", "server_stopped"]
        assert (at.folder / LOG).read_text() == "".join(f"{link.line}\n" for link in links)
        proof = prove_server(at.folder, "", NOW)
        assert (proof.head, proof.faults, proof.notes) == (links[-1].head, [], [])


@pytest.mark.parametrize("missing", [1, 3, 5])
async def test_what_a_kill_kept_from_the_file_is_written_at_the_next_start(tmp_path: Path, missing: int) -> None:
    async with store(tmp_path) as at:
        links = await told(at)
        journal = Journal(at.folder)
        journal.copy(links[:-missing])
        journal.close()
        with (at.folder / LOG).open("ab") as file:
            file.write(b"[E:torn")
        await written(at)
        assert found(at) == [] and len(await told(at)) == 5


async def test_what_the_ledger_lost_is_taken_from_the_file(tmp_path: Path) -> None:
    async with store(tmp_path) as at:
        await written(at)
        await at.do(lambda tx: tx.execute(delete(table).where(table.c.number > 3)))
        assert places(at) == [f"{LOG}:4"]
        await written(at)
        assert found(at) == []
        links = await told(at)
        assert [link.entry.message for link in links[3:5]] == ["4", "5"]
        assert links[5].entry.action == "audit_recovered" and "entries 4 to 5" in links[5].entry.message


async def test_a_new_ledger_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    async with store(tmp_path) as at:
        await written(at)
        await at.do(lambda tx: tx.execute(delete(table)))
        await written(at)
        proof = prove_server(at.folder, "", NOW)
        assert proof.faults == [] and proof.head.number == 6
        assert proof.notes == ["the ledger begins with entry 5: what was before was in an earlier one"]


async def test_a_file_that_was_made_anew_is_told_of_and_found(tmp_path: Path) -> None:
    async with store(tmp_path) as at:
        await written(at)
        (at.folder / LOG).unlink()
        journal = Journal(at.folder)
        journal.add([link.entry if link.head.number != 3 else entry(0.0, "nobody", "act") for link in await told(at)])
        journal.close()
        await written(at)
        assert (await told(at))[-1].entry.action == "audit_diverged"
        assert found(at)[0].where == f"{LOG}:3" and "another one" in found(at)[0].what


@pytest.mark.parametrize(
    ("line", "change", "where", "event"),
    [
        ("changed", lambda raws: [*raws[:2], raws[2].replace(b"[U:a]", b"[U:b]"), *raws[3:]], f"{LOG}:3", 3),
        ("removed", lambda raws: [*raws[:2], *raws[3:]], f"{LOG}:3", 4),
        ("moved", lambda raws: [raws[0], raws[2], raws[1], *raws[3:]], f"{LOG}:2", 3),
        ("twice", lambda raws: [*raws[:2], raws[0], *raws[2:]], f"{LOG}:3", 1),
        ("cut", lambda raws: raws[:3], f"{LOG}, the end", 4),
        ("gone", lambda raws: [], f"{LOG}, the end", 1),
        ("torn", lambda raws: [*raws[:4], raws[4][:-9]], f"{LOG}:5", 5),
    ],
)
async def test_what_is_done_to_the_file_is_found(
    tmp_path: Path, line: str, change: Callable[[list[bytes]], list[bytes]], where: str, event: int
) -> None:
    async with store(tmp_path) as at:
        await written(at)
        raws = (at.folder / LOG).read_bytes().splitlines(keepends=True)
        (at.folder / LOG).write_bytes(b"".join(change(raws)))
        first = found(at)[0]
        events_of = {number: link.entry.event for number, link in enumerate(await told(at), 1)}
        assert first.where == where
        assert first.event == ("" if line == "torn" else events_of[event])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (update(table).where(table.c.number == 2).values(user="nobody"), "ledger, entry 2"),
        (update(table).where(table.c.number == 2).values(hash="0" * 64), f"{LOG}:2"),
        (delete(table).where(table.c.number == 2), f"{LOG}:2"),
        (delete(table).where(table.c.number == 5), f"{LOG}:5"),
    ],
)
async def test_what_is_done_to_the_ledger_is_found(tmp_path: Path, change: object, where: str) -> None:
    async with store(tmp_path) as at:
        await written(at)

        def tamper(tx: Tx) -> None:
            tx.execute(change)  # type: ignore[call-overload]

        await at.do(tamper)
        assert places(at)[0] == where


async def test_what_is_on_its_way_to_the_file_is_no_fault(tmp_path: Path) -> None:
    async with store(tmp_path) as at:
        proof = prove_server(at.folder, "", LONG_AGO + LATE / 2)
        assert (proof.faults, proof.notes) == ([], ["5 entries are on their way from the ledger to the file"])


async def test_a_full_disk_costs_the_file_nothing_but_time(tmp_path: Path) -> None:
    async with store(tmp_path) as at:
        file = AuditFile(at)
        (at.folder / LOG).unlink()
        (at.folder / LOG).mkdir()
        with pytest.raises(NoSpace):
            await file.open()
        (at.folder / LOG).rmdir()
        await file.write()
        await file.close()
        assert found(at) == []


async def test_an_event_and_its_entry_are_one_transaction(tmp_path: Path) -> None:
    async with store(tmp_path, entries=0) as at:

        def half(tx: Tx) -> None:
            events.record(tx, LONG_AGO, 1, "run_running")
            raise RondoError("no")

        with pytest.raises(RondoError):
            await at.do(half)
        assert await told(at) == []
        refused = {"client": "a", "round": 2, "reason": "too late"}
        why = {"error": "ValueError", "site": "a"}
        for kind, data in {"run_running": {}, "update_refused": refused, "run_failed": why, "progress": {}}.items():
            await at.record(1, kind, data)
        assert [(one.entry.user, one.entry.action, one.entry.message) for one in await told(at)] == [
            ("server", "run_started", "run 1"),
            ("a", "update_refused", "run 1 round 2: too late"),
            ("server", "run_ended", "run 1 failed: a: ValueError"),
        ]


async def test_a_head_that_goes_back_is_told_of(tmp_path: Path) -> None:
    async with store(tmp_path, entries=0) as at:
        five, three = Head(5, "a" * 64), Head(3, "b" * 64)
        for head in (five, five, three):
            await at.do(audit.anchor, LONG_AGO, "site", head)
        first, second = [link.entry.message for link in await told(at)]
        assert first == str(five)
        assert second == f"{three} is behind {five}: its log was cut or begun anew"


def peer(name: str = "a", role: str = "client", fingerprint: str = "f" * 64) -> Peer:
    return Peer(name, role, fingerprint, "h:1")


async def test_whoever_is_not_let_in_is_told_of_within_bounds(tmp_path: Path, kit: Kit) -> None:
    async def nobody(_: object) -> None:
        return None

    async with store(tmp_path, entries=0) as at:
        sessions = Sessions(at, kit, lambda _: None, nobody, lambda _: None)
        hello = pb.Hello(project=kit.project, name="a", protocol=PROTOCOL, role="client", audit=f"4-{'c' * 64}")
        token = (await sessions.register(hello, peer())).token
        with pytest.raises(BadInput):
            await sessions.register(pb.Hello(project="] [U:x", name="a", protocol=PROTOCOL, role="admin"), peer("b"))
        with pytest.raises(Refused):
            await sessions.who(Call("/rondo.v1/Wait", peer(fingerprint="e" * 64), token), "client")
        await sessions.end(await sessions.who(Call("m", peer(), token), "client"), "quit")
        for _ in range(3 * REFUSALS[0]):
            with pytest.raises(Refused):
                await sessions.who(Call("m", peer("b"), "wrong"), "client")
        lines = [(one.entry.user, one.entry.action, one.entry.message) for one in await told(at)]
        assert lines[0][:2] == ("a", "log_in") and "certificate ffffffffffffffff" in lines[0][2]
        assert lines[1] == ("a", "audit_head", f"4-{'c' * 64}")
        assert lines[2][:2] == ("b", "log_in") and "as admin a of \\x5d \\x5bU:x" in lines[2][2]
        assert lines[3][:2] == ("a", "/rondo.v1/Wait") and "belongs to another certificate" in lines[3][2]
        assert lines[4] == ("a", "log_out", "client: quit")
        assert 0 < len(lines[5:]) <= REFUSALS[0] and {line[0] for line in lines[5:]} == {"b"}
        assert not any(word in str(lines) for word in (token, "wrong"))


async def test_heads_are_written_down_now_and_then(tmp_path: Path, kit: Kit) -> None:
    async with house(tmp_path / "w", clock=ManualClock(LONG_AGO)) as made:
        door, session = Doorbook(made.store), await made.client("a")
        heads = [f"{number}-{'a' * 64}" for number in range(1, 5)]
        for text in ("", "rubbish", heads[0], heads[0], heads[1]):
            await door.head(session, text)
        assert isinstance(made.store.clock, ManualClock)
        made.store.clock.advance(60)
        await door.head(session, heads[2])
        await door.head(session, heads[3], last=True)
        assert [link.entry.message for link in await told(made.store)] == [heads[0], heads[2], heads[3]]


async def test_a_row_is_the_entry_that_it_was(tmp_path: Path) -> None:
    async with store(tmp_path, entries=0) as at:
        first = entry(1.2345, "a\n", "[b]", "c" * 1000, ref="11111111-2222-3333-4444-555555555555")
        event = await at.do(audit.tell, first)
        (link,) = await told(at)
        assert (event, link) == (first.event, linked(Head(0, "0" * 64), first))
