"""Print the FL task name: what the project is called."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.commands.desk import Desk
from rondo.commands.rows import Facts, Row, Text
from rondo.commands.seam import NoArguments as Options

PERMISSION = "ASK"
SCOPE = "sys"
EXAMPLE = ""


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    yield Text(desk.house.project)
    yield Facts({"taskname": desk.house.project})
