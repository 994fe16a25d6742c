"""What a site allows, whatever a job or an admin asks for: ``site_policy.toml`` in the client's workspace.

The hospital writes it; nothing that comes from outside can reach it, as packages are unpacked into folders of their
own. It is read anew whenever something is to be judged by it, so a change counts from the next job or command on. A
file that cannot be read as a whole allows nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rondo.base import rooms
from rondo.base.amounts import bytes_of, seconds_of
from rondo.base.errors import BadInput, NotFound
from rondo.base.options import Options, decode, nearest
from rondo.jobs.native import read_choice, read_table
from rondo.jobs.parts import SITE, Choice
from rondo.jobs.toml import read_toml
from rondo.policy.site import FILE
from rondo.tensors.digest import parse_digest

SHELL = frozenset({"cat", "env", "grep", "head", "ls", "pwd", "tail"})  # commands that look around in the workspace
DEPLOY = "deploy"

_Count = Annotated[int, msgspec.Meta(ge=0, le=65536)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=65536)]


class Limits(Options, frozen=True):
    """What one run may take at this site; None: as much as there is. Bytes and seconds."""

    gpus: _Count | None = None
    cpus: _Some | None = None
    memory: int | None = None
    disk: int | None = None
    run_time: float | None = None


class Commands(Options, frozen=True):
    """Which commands are answered: those in ``answer`` (None: all but those that look around in the workspace, unless
    ``shell``), without those in ``refuse``, where "shell" stands for all that look around."""

    shell: bool = False
    answer: frozenset[str] | None = None
    refuse: frozenset[str] = frozenset()

    def answers(self, name: str) -> bool:
        """Whether this site answers the command ``name``."""
        listed = self.shell or name not in SHELL if self.answer is None else name in _spelled(self.answer)
        return listed and name not in _spelled(self.refuse)


class Data(Options, frozen=True):
    """Folders with the site's data, that jobs may read. Empty: what ``--data`` names."""

    folders: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders, wherever links lead."""
        return tuple(Path(folder).resolve() for folder in self.folders)


class Workers(Options, frozen=True):
    """What stands around the process that runs a job's code."""

    sandbox: Literal["none", "bubblewrap"] = "none"


class Validation(Options, frozen=True):
    """Cross-site validation: whether local models may leave. With "refuse" the site takes no part in it at all."""

    local_models: Literal["allow", "refuse"] = "allow"


class SitePolicy(Options, frozen=True):
    """The whole file. ``code``: whether packages that bring code of their own may run here: "allow", "refuse", or
    only those that are signed by one of these admins, or have one of these digests."""

    code: Literal["allow", "refuse"] | tuple[str, ...] = "allow"
    filters: tuple[Choice, ...] = ()
    limits: Limits = Limits()
    commands: Commands = Commands()
    data: Data = Data()
    worker: Workers = Workers()
    validation: Validation = Validation()

    def lets_code(self, signer: str, digest: str) -> bool:
        """Whether a package that brings code may run, signed by ``signer``, with this digest."""
        if isinstance(self.code, str):
            return self.code == "allow"
        return signer in self.code or digest in self.code


def read_policy(workspace: Path) -> SitePolicy:
    """The policy of the site whose client works in ``workspace``; without a file, the defaults.

    Raises ``BadInput`` naming line and column, or section and key. Whether the filters exist is for ``check_filters``.
    """
    path = workspace / FILE
    if not os.path.lexists(path):
        return SitePolicy()
    try:
        tables = read_toml(path)
        sections: dict[str, Callable[[object], Any]] = {
            "code": _code, "filters": _filters, "limits": _limits, "commands": _commands, "data": _data,
            "worker": _worker, "validation": _validation,
        }  # fmt: skip
        for key in tables:
            if key not in sections:
                raise BadInput(f"unknown key {key!r}", where=FILE, hint=_home(key, sections))
        return decode(SitePolicy, {key: sections[key](value) for key, value in tables.items()}, FILE)
    except BadInput as error:
        hint = error.hint or "see docs/site-policy.md; rondo client policy WORKSPACE checks the file"
        raise BadInput(error.what, where=error.where, hint=hint) from None


def check_filters(policy: SitePolicy) -> None:
    """Raises ``BadInput`` for a filter that does not exist, or does not take these options."""
    for number, choice in enumerate(policy.filters):
        where = f"{FILE} filters[{number}]"
        try:
            module = rooms.pick("rondo.filters", choice.name)
        except NotFound as error:
            raise BadInput(error.what, where=where, hint=error.hint) from None
        decode(module.Options, choice.options, where)


def _home(key: str, sections: Mapping[str, object]) -> str:
    kinds: dict[str, type[Options]] = {
        "limits": Limits, "commands": Commands, "data": Data, "worker": Workers, "validation": Validation,
    }  # fmt: skip
    homes = [name for name, kind in kinds.items() if key in kind.__struct_fields__]
    return f"it belongs under [{homes[0]}]" if homes else nearest(key, sections)


def _code(value: object) -> Any:
    where = f"{FILE} code"
    if value in ("allow", "refuse"):
        return value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        hint = '"allow", "refuse", or a list of admins and package digests'
        raise BadInput(f"cannot be {str(value)[:60]!r}", where=where, hint=hint)
    for one in value:
        if one.startswith("blake3:"):
            try:
                parse_digest(one)
            except BadInput as error:
                raise BadInput(error.what, where=where) from None
        elif not SITE.fullmatch(one):
            raise BadInput(f"{one[:60]!r} is neither an admin's name nor a digest", where=where)
    return value


def _filters(value: object) -> list[Choice]:
    if not isinstance(value, list):
        raise BadInput("must be tables", where=f"{FILE} filters", hint="write [[filters]] above each of them")
    return [read_choice(one, f"{FILE} filters[{number}]") for number, one in enumerate(value)]


def _limits(value: object) -> Limits:
    where = f"{FILE} [limits]"
    table = read_table(value, where)
    for key, read in (("memory", bytes_of), ("disk", bytes_of), ("run_time", seconds_of)):
        if key in table:
            try:
                table[key] = read(table[key] if isinstance(table[key], str) else str(table[key]))
            except ValueError as error:
                raise BadInput(str(error), where=f"{where} {key}") from None
    return decode(Limits, table, where)


def _commands(value: object) -> Commands:
    where = f"{FILE} [commands]"
    commands = decode(Commands, read_table(value, where), where)
    known = {*rooms.names("rondo.commands", "at_site"), *SHELL, DEPLOY, "shell"}
    for name in sorted((commands.answer or frozenset()) | commands.refuse):
        if name not in known:
            raise BadInput(f"no site is asked for {name!r}", where=where, hint=nearest(name, known))
    return commands


def _data(value: object) -> Data:
    where = f"{FILE} [data]"
    data = decode(Data, read_table(value, where), where)
    for folder in data.folders:
        if not os.path.isabs(folder):
            raise BadInput(f"{folder!r} is not absolute", where=f"{where} folders", hint="begin with /")
        if not os.path.exists(folder):
            raise BadInput(f"there is no {folder!r}", where=f"{where} folders")
    return data


def _worker(value: object) -> Workers:
    where = f"{FILE} [worker]"
    return decode(Workers, read_table(value, where), where)


def _validation(value: object) -> Validation:
    where = f"{FILE} [validation]"
    return decode(Validation, read_table(value, where), where)


def _spelled(names: frozenset[str]) -> frozenset[str]:
    return names | SHELL if "shell" in names else names
