"""Evaluate all rights of a user on a site, going by what is written."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands._authz import answers
from rondo.commands.desk import Desk
from rondo.commands.rows import Row

PERMISSION = "ASK"
SCOPE = "authz"
EXAMPLE = "leadIT@secure.com client4"


class Options(BaseOptions, frozen=True):
    """``user`` and ``site``: names in the policy."""

    user: str
    site: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for row in answers(desk, "eval_user", options.user, options.site):
        yield row
