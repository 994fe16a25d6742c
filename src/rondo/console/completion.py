"""What may come next on the line: commands and their aliases, flags, sites, runs, folders; sites and runs are live."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from rondo.base.clock import Clock, SystemClock
from rondo.base.errors import NotFound, RondoError
from rondo.console.session import AdminSession
from rondo.console.verbs import Verb, find, verbs

FRESH = 5.0  # seconds for which an answer of the server may be used again
SOON = 2.0  # seconds after which nobody waits for one any more

# What an option of this name wants, where its command does not say.
_KINDS = {
    "target": "target",
    "names": "clients",
    "run": "runs",
    "run_id": "runs",
    "commands": "commands",
    "folder": "staged",
}


@dataclass(frozen=True)
class Wanted:
    """``word``: what has been typed of it. ``kind``: of what may stand there; ``given``: words before it."""

    word: str
    kind: str = ""
    verb: Verb | None = None
    given: tuple[str, ...] = ()


def wanted(line: str) -> Wanted:
    """What may stand at the end of ``line``."""
    try:
        words = shlex.split(line)
    except ValueError:  # an open quote: what is in it is nobody's business
        return Wanted("")
    word = words.pop() if words and not line[-1:].isspace() else ""
    if not words:
        return Wanted(word.removeprefix("?"), "commands")
    try:
        verb = find(words[0])
    except NotFound:
        return Wanted(word)
    if word.startswith("-"):
        return Wanted(word, "flags", verb)
    return Wanted(word, _kind(verb, words[1:]), verb, tuple(words[1:]))


def _kind(verb: Verb, given: Sequence[str]) -> str:
    """What the option wants whose turn it is after ``given``."""
    fields = structs.fields(verb.module.Options)
    valued = [field.encode_name for field in fields if field.encode_name.startswith("-") and field.type is not bool]
    plain = [field for field in fields if not field.encode_name.startswith("-")]
    count, skip = 0, False
    for word in given:
        if skip or word.startswith("-"):
            skip = not skip and word in valued
            continue
        count += 1
    field = plain[min(count, len(plain) - 1)] if plain else None
    if skip or field is None or (count >= len(plain) and "tuple" not in str(field.type)):
        return ""
    if field.name == verb.sends:
        return "local"
    if field.name == "target" and all(other.name != "names" for other in plain):
        return "site"
    return str(getattr(verb.module, "COMPLETES", {}).get(field.name, _KINDS.get(field.name, "")))


def fitting(want: Wanted, known: Iterable[str]) -> list[str]:
    """The words that go on from what has been typed, given all there are of their kind."""
    if want.kind == "commands" and want.verb is None:
        names = [name for verb in verbs() if not verb.hidden for name in (verb.name, *verb.aliases)]
    elif want.kind == "commands":
        names = [verb.name for verb in verbs() if not verb.hidden]
    elif want.kind == "flags" and want.verb is not None:
        names = [field.encode_name for field in structs.fields(want.verb.module.Options)]
        names = [name for name in names if name.startswith("-")]
    else:
        names = [name for name in known if name not in want.given]
    return sorted({name for name in names if name.startswith(want.word) and name.isprintable()})


class Known:
    """What the server knows by name, asked at most every ``FRESH`` seconds."""

    def __init__(self, session: AdminSession, clock: Clock | None = None) -> None:
        self._session = session
        self._clock = clock if clock is not None else SystemClock()
        self._kept: dict[str, tuple[float, list[str]]] = {}
        self._asking: Mapping[str, Callable[[str], Awaitable[list[str]]]] = {
            "clients": self._clients,
            "runs": self._runs,
            "local": self._local,
            "files": self._files,
            "staged": self._staged,
        }

    async def of(self, kind: str, word: str) -> list[str]:
        """All there are of ``kind``; ``word``: the beginning that has been typed, for what is too much to list."""
        if kind == "target":
            return ["server", "client", "all"]
        if kind == "site":
            return ["server", *await self.of("clients", word)]
        asking = self._asking.get(kind)
        if asking is None:
            return []
        if kind == "local":
            return await asking(word)
        at, names = self._kept.get(kind, (-FRESH, []))
        if self._clock.ticks() - at >= FRESH:
            with suppress(RondoError, TimeoutError):  # nothing to choose from, then
                async with asyncio.timeout(SOON):
                    names = await asking(word)
                    self._kept[kind] = (self._clock.ticks(), names)
        return names

    async def _clients(self, _: str) -> list[str]:
        return [str(name) for name in (await self._session.facts("check_status", "server"))["clients"]]

    async def _runs(self, _: str) -> list[str]:
        return [str(run["id"]) for run in (await self._session.facts("list_runs"))["runs"]]

    async def _files(self, _: str) -> list[str]:
        files = (await self._session.facts("list_files"))["files"]
        return [str(file["path"]).removeprefix("transfer/") for file in files]

    async def _staged(self, _: str) -> list[str]:
        return sorted({path.partition("/")[0] for path in await self.of("files", "") if "/" in path})

    async def _local(self, word: str) -> list[str]:
        return await asyncio.to_thread(folders, self._session.kit.workspace / "transfer", word)


def folders(start: Path, word: str) -> list[str]:
    """The folders whose path begins with ``word``, below ``start`` or by their own path; each ends in a slash."""
    parent, _, _ = word.rpartition("/")
    before = f"{parent}/" if parent or word.startswith("/") else ""
    place = start / (before or ".")
    with suppress(OSError):
        return [f"{before}{path.name}/" for path in place.iterdir() if path.is_dir() and path.name[:1] != "."]
    return []


class LineCompleter(Completer):
    """For a terminal: asks ``known`` (as ``Known.of``) for what is wanted when somebody presses Tab."""

    def __init__(self, known: Callable[[str, str], Awaitable[list[str]]]) -> None:
        self._known = known

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        return ()  # asked by whoever cannot wait; a terminal can

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        want = wanted(document.text_before_cursor)
        typed = len(re.split(r"[ ?]", document.text_before_cursor)[-1])
        for name in fitting(want, await self._known(want.kind, want.word)):
            word = shlex.quote(name)
            yield Completion(word, start_position=-typed if want.word else 0)
