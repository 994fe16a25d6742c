"""List the commands, or show how one is used: ? cmdName."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.base.options import Options as BaseOptions
from rondo.commands import seam
from rondo.commands.rows import Row, Table, Text
from rondo.console.here import Here
from rondo.console.verbs import Verb, find, verbs

ALIASES = ("?",)


class Options(BaseOptions, frozen=True):
    """``commands``: what to tell about; everything where none is named."""

    commands: tuple[str, ...] = ()


async def run(here: Here, options: Options) -> AsyncIterator[Row]:
    for word in options.commands:
        for text in _usage(find(word)):
            yield Text(text)
    if options.commands:
        return
    for title, by_client in (("Client Commands", True), ("Server Commands", False)):
        yield Text(title)
        listed = [verb for verb in verbs() if verb.by_client is by_client and not verb.hidden]
        yield Table(["SCOPE", "COMMAND", "DESCRIPTION"], [[one.scope, one.name, one.description] for one in listed])


def _usage(verb: Verb) -> list[str]:
    texts = [f"Command: {verb.full_name}", f"Description: {verb.description}", f"Usage: {seam.usage(verb.module)}"]
    if verb.aliases:
        texts.append(f"Also: {', '.join(verb.aliases)}")
    more = verb.help.partition("\n\n")[2].strip()
    return [*texts, *([more] if more else [])]
