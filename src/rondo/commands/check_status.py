"""Show where the server or the clients are, and what each waits for.

``check_status server`` or ``check_status client [NAME...]``. Each client answers for itself, unless that would be more
than a hundred: then the server tells what it knows of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec

from rondo.base.site import Site
from rondo.commands.desk import ClientLine, Desk
from rondo.commands.rows import Facts, Row, Table, Text
from rondo.commands.seam import SERVER, Target, meant

PERMISSION = "VIEW"
SCOPE = "training"
EXAMPLE = "server"
MOST_ASKED = 100  # clients: asking costs each some milliseconds, and the server as many
SERVER_STATUS = {
    "submitted": "training starting",
    "dispatching": "training starting",
    "running": "training started",
    "validating": "training started",
}


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    sites = await meant(desk, options)
    if sites[0] == SERVER:
        async for row in _server(desk):
            yield row
    if sites != [SERVER]:
        async for row in _clients(desk, options, sites[sites[0] == SERVER :]):
            yield row


async def _server(desk: Desk) -> AsyncIterator[Row]:
    number, current, clients = await desk.folders.number(), await desk.runs.current(), await desk.clients.listed()
    status = SERVER_STATUS.get(current.state, "training stopped") if current else "training not started"
    yield Text("FL run number has not been set." if number is None else f"FL run number:{number}")
    yield Text(f"FL server status: {status}")
    if current and status == "training started":
        yield Text(
            f"run number:{current.number}\tstart round:{current.start_round}\t"
            f"max round:{current.num_rounds}\t"
            f"current round:{current.start_round if current.round is None else current.round}"
        )
        yield Text(f"min_num_clients:{current.min_clients}\tmax_num_clients:{current.max_clients}")
    if current and current.error:
        said = (current.error.get("site"), current.error.get("error"))
        yield Text(": ".join([f"run {current.id} {current.state}", *(str(word) for word in said if word)]))
    yield Text(f"Registered clients: {len(clients)} ")
    if current and status == "training started":
        yield Text(f"Total number of clients submitted models for current round: {current.submitted_now}")
    waiting = await desk.runs.waiting()
    if waiting:
        names = ", ".join(waiting.clients) or "nobody yet"
        yield Text(f"waiting for: {names} ({waiting.why}), {_since(waiting.since, waiting.then)}")
    yield Table(
        ["CLIENT NAME", "TOKEN", "LAST ACCEPTED ROUND", "CONTRIBUTION COUNT", "STATE"],
        [
            [c.instance, c.session, "" if c.last_round is None else c.last_round, c.contributions, c.state]
            for c in clients
        ],
    )
    run_facts = msgspec.to_builtins(current) if current else None
    here = {"clients": [c.instance for c in clients], "sites": [msgspec.to_builtins(c) for c in clients]}
    yield Facts({"run_number": number, "status": status, "run": run_facts, **here})


async def _clients(desk: Desk, options: Options, names: list[str]) -> AsyncIterator[Row]:
    """What the server knows of each client, as soon as the client itself has answered."""
    lines = {line.instance: line for line in await desk.clients.listed()}

    async def ask(name: str) -> AsyncIterator[Row]:
        async for _ in desk.visit(name, "check_status", options):
            if name in lines:  # it may have left meanwhile
                yield _line(lines[name])

    if len(names) <= MOST_ASKED:
        async for row in desk.each(names, ask):
            yield row
    else:
        for name in names:
            if name in lines:
                yield _line(lines[name])
        yield Text(f"{len(names)} clients, as the server knows them: name at most {MOST_ASKED} to have them asked")
    yield Facts({"clients": [msgspec.to_builtins(lines[name]) for name in names if name in lines]})


def _line(client: ClientLine) -> Text:
    text = f"client name: {client.instance}\ttoken: {client.session}\tstatus: {client.status}"
    if client.since is not None:
        text += f"\twaiting for: {client.waiting_for}, {_since(client.since, client.then)}"
    return Text(text, site=client.instance)


def _since(moment: float, then: str) -> str:
    return f"since {datetime.fromtimestamp(moment, UTC):%H:%M:%S UTC}; then {then}"


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """That it answers is the answer."""
    yield Facts({})
