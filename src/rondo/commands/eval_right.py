"""Evaluate a right of a user on sites, going by what is written (``super`` is no exception here)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands._authz import answers
from rondo.commands.desk import Desk
from rondo.commands.rows import Row

PERMISSION = "ASK"
SCOPE = "authz"
EXAMPLE = "leadIT@secure.com train_self client4"


class Options(BaseOptions, frozen=True):
    """``user`` and ``right``: names in the policy; ``sites``: all of them where none is given."""

    user: str
    right: str
    sites: tuple[str, ...] = ()


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for row in answers(desk, "eval_right", options.user, options.right, *options.sites):
        yield row
