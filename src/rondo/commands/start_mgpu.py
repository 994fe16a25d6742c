"""Start clients so that each trains in several processes, one for each GPU: torchrun starts them.

``start_mgpu client GPUS [NAME...]``. Clients may be started with different numbers. Where a site has no GPU the
processes share its processors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from rondo.base.errors import BadInput
from rondo.base.options import Options as BaseOptions
from rondo.commands.desk import Desk
from rondo.commands.rows import Row, Text
from rondo.commands.seam import choose

PERMISSION = "TRAIN"
SCOPE = "training"
EXAMPLE = "client 2 site-1"


class Options(BaseOptions, frozen=True):
    """``target``: client; ``gpus``: processes at each; ``names``: client instances, all where none is given."""

    target: str
    gpus: Annotated[int, msgspec.Meta(ge=1, le=64)]
    names: tuple[str, ...] = ()


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    async def ask(client: str) -> AsyncIterator[Row]:
        await desk.runs.start_client(client, options.gpus)
        yield Text("Starting the client...", site=client)

    if options.target != "client":
        raise BadInput(f"unknown target type {options.target}", hint="start_mgpu client GPUS [NAME...]")
    async for row in desk.each(await choose(desk, options.names), ask):
        yield row
