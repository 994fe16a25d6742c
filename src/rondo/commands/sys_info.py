"""Show the memory and the GPUs of the server's machine or of clients' machines.

``sys_info server`` or ``sys_info client [NAME...]``. Memory in bytes, as the kernel counts it; GPUs as nvidia-smi does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from rondo.base.site import Site
from rondo.base.surroundings import gpus, memory
from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Table, Text
from rondo.commands.seam import Target, meant

PERMISSION = "OPERATE"
SCOPE = "sys"
EXAMPLE = "server"


class Options(Target, frozen=True):
    """``target``: server, client or all; ``names``: client instances, all where none is given."""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    found: dict[str, Any] = {}

    async def ask(site: str) -> AsyncIterator[Row]:
        async for row in desk.visit(site, "sys_info", options):
            if isinstance(row, Facts):
                found[site] = row.values
            elif isinstance(row, Table):
                yield Text(f"instance:{site}")
                yield row

    async for row in desk.each(await meant(desk, options), ask):
        yield row
    yield Facts({"sites": found})


async def at_site(site: Site, options: Options) -> AsyncIterator[Row]:
    """The table of one site."""
    held, cards = await site.think(memory), await gpus()
    facts: dict[str, Any] = {**held, "gpu_count": len(cards)}
    facts |= {f"gpu_device_{number}": card for number, card in enumerate(cards)}
    if held.get("total"):
        facts["availabe_percent"] = round(100 * held["available"] / held["total"], 1)  # Clara's spelling
    yield Table(["METRICS", "VALUE"], [[name, value] for name, value in facts.items()])
    yield Facts(facts)
