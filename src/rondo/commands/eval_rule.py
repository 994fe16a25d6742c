"""Evaluate a rule of a site: whether it accepts custom code, or a custom list of cases."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands._authz import answers
from rondo.commands.desk import Desk
from rondo.commands.rows import Row

PERMISSION = "ASK"
SCOPE = "authz"
EXAMPLE = "client4 allow_byoc"


class Options(BaseOptions, frozen=True):
    """``site`` and ``rule``: names in the policy."""

    site: str
    rule: str


async def run(desk: Desk, options: Options) -> AsyncIterator[Row]:
    for row in answers(desk, "eval_rule", options.site, options.rule):
        yield row
