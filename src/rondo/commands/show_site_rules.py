"""Show what a site accepts: the result of every rule there."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands._authz import answers
from rondo.commands.desk import Desk
from rondo.commands.rows import Row

PERMISSION = "ASK"
SCOPE = "authz"
EXAMPLE = "client4"


class Options(BaseOptions, frozen=True):
    """``site``: its name in the policy."""

    site: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for row in answers(desk, "show_site_rules", options.site):
        yield row
