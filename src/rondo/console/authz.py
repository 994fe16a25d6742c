"""A policy that is asked before anybody lives by it: the offline checker of spec 3.6.

It goes by what is written: the role ``super`` gets no shortcut here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from rondo.base.errors import BadInput, NotFound, RondoError
from rondo.base.options import nearest
from rondo.commands import seam
from rondo.commands.rows import Table
from rondo.console.draw import as_text
from rondo.console.lines import Interrupted, Lines, Script
from rondo.console.terminal import Terminal
from rondo.policy.authorization import decoded, read_authorization
from rondo.policy.policy import Policy
from rondo.policy.preview import QUESTIONS, answer

PROMPT = "> "


def read_policy(policy: Path | None, definitions: Path | None, config: Path | None) -> Policy:
    """The policy of one file, or of one that defines rights and rules and one that uses them.

    Raises ``BadInput`` that names the offender.
    """
    if (policy is None) == (config is None) or (policy is not None and definitions is not None):
        raise BadInput("a policy is one file or two", hint="-p authorization.json, or -d definitions -c config")
    if policy is not None:
        return read_authorization(_content(policy), policy.name)
    assert config is not None
    used, defined = _content(config), _content(definitions) if definitions is not None else {}
    for key in sorted(set(used) & set(defined) - {"version"}):
        raise BadInput(f'"{key}" is in both files', where=f"{definitions}, {config}")
    return read_authorization({**defined, **used}, config.name)


def _content(path: Path) -> dict[str, object]:
    try:
        found = decoded(path.read_bytes(), path.name)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from None
    if not isinstance(found, dict):
        raise BadInput("the policy must be an object", where=path.name)
    return found


class _Names(Completer):
    """Questions first, then every name of the policy."""

    def __init__(self, policy: Policy) -> None:
        self._names = sorted({*policy.users, *policy.sites, *policy.rights, *policy.rules})

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        word = before.rpartition(" ")[2]
        names = self._names if " " in before else [*QUESTIONS, "help", "bye"]
        return [Completion(name, start_position=-len(word)) for name in names if name.startswith(word)]


async def ask(policy: Policy) -> RondoError | None:
    """Answer questions until ``bye`` or the end. Returns the first error that a script met."""
    person = sys.stdin.isatty() and sys.stdout.isatty()
    lines: Lines = Terminal(completer=_Names(policy)) if person else Script()
    trouble: RondoError | None = None
    while True:
        try:
            words = seam.split(await lines.ask(PROMPT, remember=True))
            if words[:1] == ["bye"]:
                raise EOFError
            if words:
                lines.say(as_text(_answer(policy, words)))
        except Interrupted:
            continue
        except EOFError:
            return None if person else trouble
        except RondoError as error:
            trouble = trouble or error
            lines.say(f"Error: {error}")


def _answer(policy: Policy, words: list[str]) -> Table:
    if words[0] in ("help", "?"):
        usages = {name: " ".join(arguments) for name, (_, arguments) in QUESTIONS.items()}
        return Table(["COMMAND", "ARGUMENTS"], [[*row] for row in ({**usages, "help": "", "bye": ""}).items()])
    if words[0] not in QUESTIONS:
        raise NotFound(f"Undefined command {words[0]}", hint=nearest(words[0], [*QUESTIONS, "help", "bye"]))
    found = answer(policy, words[0], words[1:])
    return Table(list(found.head), [list(row) for row in found.rows])
