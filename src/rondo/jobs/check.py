"""Whether what a job names exists: extensions and their options, files, modules; and whether its Python compiles.

Nothing of the job is executed. Extensions are found by name in their rooms, so this module knows none of them. By
convention a trainer's option ``script`` is a file of the package, and any text of the form "module:name" names
something in a module of the package.
"""

from __future__ import annotations

import codecs
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path

from rondo.base import rooms
from rondo.base.errors import BadInput, NotFound
from rondo.base.options import decode
from rondo.jobs.folder import check_name, members, read_bounded
from rondo.jobs.job import Choice, Job
from rondo.jobs.mmar import TRAINER, check_lists, open_mmar
from rondo.jobs.native import FILE
from rondo.jobs.parts import LATEST, is_reference

MOST_SOURCE_BYTES = 1 << 20
MOST_SOURCES_BYTES = 16 << 20
MOST_NAME_PARTS = 100

_ENCODINGS = frozenset(("utf-8", "utf-8-sig", "ascii", "iso8859-1", "iso8859-15", "cp1252"))
# CPython joins the parts of ``import a.b.c`` one by one and keeps each: 3 MB of them take all memory.
_LONG_DOTTED = re.compile(rf"(?<!\w)\w++(?:[\s\\]*+\.[\s\\]*+\w++){{{MOST_NAME_PARTS}}}")


def check_job(job: Job, folder: Path) -> None:
    """Everything that can be known of the job before it runs anywhere.

    Raises ``BadInput`` naming the place in the job, or ``file:line:column`` of a syntax error.
    """
    check_choices(job)
    check_files(job, folder)
    check_sources(folder)


def check_choices(job: Job) -> None:
    """Aggregator, trainer, filters and codecs exist and take these options. Raises ``BadInput`` naming the place.

    An aggregator that means nothing below some number of updates (``least_updates``) must get as many every round.
    """
    for room, choice, where in _choices(job):
        try:
            module = rooms.pick(f"rondo.{room}", choice.name)
        except NotFound as error:
            raise BadInput(error.what, where=where, hint=error.hint) from None
        options = decode(module.Options, choice.options, where)
        least = getattr(options, "least_updates", 1)
        if job.server.min_clients < least:
            text = f"{choice.name} with these options needs {least} updates a round, min_clients is"
            raise BadInput(f"{text} {job.server.min_clients}", where=where, hint=f"min_clients = {least} or more")
    trainer = rooms.pick("rondo.trainers", job.client.trainer.name)
    if job.client.processes > 1:
        see_it_trains_in_several(job.client.trainer.name, f"{FILE} [client] processes")
    for wanted, makes, where in (
        (job.model.trainer, "first_model", f"{FILE} [model] trainer"),
        (job.server.own_parts, "serve", f"{FILE} [server] own_parts"),
    ):
        if wanted and not hasattr(trainer, makes):
            raise BadInput(f"the trainer {job.client.trainer.name} makes none", where=where)
    down = job.transfer.chosen["down"]
    if down and "down" not in rooms.pick("rondo.codecs", down.name).WAYS:
        hint = "a model has no next one that makes up for what this one lost: use bf16, planes or none"
        raise BadInput(f"{down.name} is for updates only", where=f"{FILE} [transfer] down", hint=hint)


def see_it_trains_in_several(trainer: str, where: str) -> None:
    """Raises ``BadInput`` at ``where`` for a trainer that trains in one process only."""
    if not getattr(rooms.pick("rondo.trainers", trainer), "RANKS", False):
        hint = f"{', '.join(rooms.names('rondo.trainers', 'RANKS'))} train in several"
        raise BadInput(f"the trainer {trainer} trains in one process", where=where, hint=hint)


def check_files(job: Job, folder: Path) -> None:
    """The files and modules that the job names are in the folder. Raises ``BadInput`` naming the place."""
    if job.client.trainer.name == TRAINER:
        mmar = open_mmar(folder)
        check_lists(mmar)
        mmar.findings.raise_first()
    begun = job.model.checkpoints is not None and job.model.file in LATEST
    if job.model.file and not begun:
        _file(folder, job.model.file, f"{FILE} [model] file")
    if job.model.function:
        _module(folder, job.model.function, f"{FILE} [model] function")
    for key, text in job.client.trainer.options.items():
        where = f"{FILE} [client] trainer {key}"
        if not isinstance(text, str):
            continue
        if key == "script":
            _file(folder, text, where)
        elif key == "class" or is_reference(text):
            _module(folder, text, where)


def check_sources(folder: Path) -> None:
    """Every .py of the package compiles; none is executed. Raises ``BadInput`` at ``file:line:column``.

    Sets the process's warning filters for a moment, so one call at a time. A source of 1 MiB can take the compiler
    seconds and most of a gigabyte: who does not trust the author calls this in a worker.
    """
    sources = [member for member in members(folder) if member.name.endswith(".py")]
    total = sum(member.size for member in sources)
    if total > MOST_SOURCES_BYTES:
        raise BadInput(f"{total} bytes of Python, more than {MOST_SOURCES_BYTES}", where=str(folder))
    for source in sources:
        _compile(source.name, read_bounded(source.path, MOST_SOURCE_BYTES))


def _choices(job: Job) -> Iterator[tuple[str, Choice, str]]:
    yield "aggregate", job.server.aggregator, f"{FILE} [server] aggregator"
    yield "trainers", job.client.trainer, job.client.trainer.place or f"{FILE} [client] trainer"
    for key in ("filters", "cross_filters"):
        for number, choice in enumerate(getattr(job.client, key)):
            yield "filters", choice, choice.place or f"{FILE} [client] {key}[{number}]"
    for way, codec in job.transfer.chosen.items():
        if codec:
            yield "codecs", codec, f"{FILE} [transfer] {way}"


def _file(folder: Path, name: str, where: str) -> None:
    if not (folder / check_name(name)).is_file():
        raise BadInput(f"no file {name!r} in the job's folder", where=where)


def _module(folder: Path, text: str, where: str) -> None:
    """The module of "package.module:name" is a .py or a package with ``__init__.py`` in the folder."""
    if not is_reference(text):
        raise BadInput(f'must look like "module:name", is {text!r}', where=where)
    module = text.partition(":")[0]
    stem = module.replace(".", "/")
    if not (folder / f"{stem}.py").is_file() and not (folder / stem / "__init__.py").is_file():
        raise BadInput(f"no module {module!r} in the job's folder", where=where, hint=f"it would be {stem}.py")


def _compile(name: str, source: bytes) -> None:
    try:
        text = _text(name, source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        where = f"{name}:{max(error.lineno or 1, 1)}:{max(error.offset or 1, 1)}"
        raise BadInput(error.msg, where=where, detail=(error.text or "").rstrip()) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise BadInput(f"cannot be compiled: {str(error) or 'nested too deeply'}", where=name) from None


def _text(name: str, source: bytes) -> str:
    """The source as text (PEP 263), unless its encoding could hide what is in it, or a dotted name is absurd."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    if codecs.lookup(encoding).name not in _ENCODINGS:
        raise BadInput(f"the encoding {encoding}", where=name, hint="save the file as UTF-8")
    try:
        text = source.decode(encoding)
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise BadInput(f"not {encoding} text", where=f"{name}:{line}", hint="save the file as UTF-8") from None
    if found := _LONG_DOTTED.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise BadInput(f"a dotted name of more than {MOST_NAME_PARTS} parts", where=f"{name}:{line}")
    return text
