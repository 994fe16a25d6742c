"""The component syntax of an MMAR: ``{"name" or "path": class, "args": {...}}`` with what may stand beside it.

Reading resolves variables (``{X}``), recognises nested components and Python in strings, and keeps every place. No
class is looked up here and nothing is evaluated: that is done in a worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rondo.base.errors import BadInput
from rondo.jobs.expressions import Expression, parse
from rondo.jobs.findings import Findings
from rondo.jobs.placed import Place, Placed

_WHOLE = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LEFT = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_PYTHON = re.compile(r"lambda\b")
_DATA = ("data_list_file_path", "data_file_base_dir", "data_list_key")
_BESIDE = frozenset(("args", "disabled", "rank", "ref", "log_label", "is_key_metric", *_DATA))
_DEEPEST = 8  # variables that name variables


@dataclass(frozen=True)
class Unresolved:
    """``{X}`` for which there is no variable: an error only where it would be used."""

    name: str
    place: Place


@dataclass(frozen=True)
class Code:
    """Python in a string: a ``lambda``, or (``explicit`` wiring) ``#expr`` and ``@name``."""

    expression: Expression
    place: Place


@dataclass(frozen=True)
class Component:
    """A class to be made: ``name`` is a short class name, or with ``dotted`` a path ``module.Class``.

    ``args`` holds plain JSON values, ``Component``, ``Code`` and ``Unresolved``. ``beside`` is what stands beside
    ``args``, without ``disabled``. ``ref``: the component of this name elsewhere is used instead.
    """

    name: str
    dotted: bool
    args: Mapping[str, Any]
    beside: Mapping[str, Any]
    place: Place
    places: Mapping[str, Place] = field(default_factory=dict)
    disabled: bool = False
    ref: str = ""

    @property
    def short(self) -> str:
        """The class's own name."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Variables:
    """What ``{X}`` stands for; later layers win: the file's own first-level values, environment.json, ``--set``."""

    layers: tuple[Mapping[str, Any], ...]

    def __contains__(self, name: str) -> bool:
        return any(name in layer for layer in self.layers)

    def __getitem__(self, name: str) -> Any:
        """The value, of its own type, variables in it resolved. Raises ``KeyError`` for an unknown one."""
        return self._value(name, 0)

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or ``default``."""
        try:
            return self[name]
        except KeyError:
            return default

    def filled(self, text: str) -> Any:
        """``text`` with its variables. Raises ``KeyError`` naming one that is not known where it is all of the text."""
        return self._filled(text, 0)

    def _value(self, name: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise BadInput(f"variables that name each other, {name!r} among them")
        for layer in reversed(self.layers):
            if name in layer:
                value = layer[name]
                return self._filled(value, depth + 1) if isinstance(value, str) else value
        raise KeyError(name)

    def _filled(self, text: str, depth: int) -> Any:
        whole = _WHOLE.fullmatch(text)
        if whole:
            return self._value(whole[1], depth)

        def inserted(found: re.Match[str]) -> str:
            return str(self._value(found[1], depth)) if found[1] in self else found[0]

        return _WHOLE.sub(inserted, text)


@dataclass(frozen=True)
class Reading:
    """How components of one file are read. ``explicit``: the wiring of 4.1, where ``@`` and ``#`` mean something."""

    variables: Variables
    findings: Findings
    explicit: bool = False

    def component(self, node: Placed) -> Component | None:
        """The component at ``node``; None where it is none, which is an error in ``findings``."""
        with self.findings.collecting():
            return self.read(node)
        return None

    def components(self, node: Placed | None) -> list[Component]:
        """The components of a list, without those that are disabled."""
        found: list[Component] = []
        if node is not None:
            with self.findings.collecting():
                found = [one for item in node.items if (one := self.component(item)) is not None]
        return [one for one in found if not one.disabled]

    def read(self, node: Placed) -> Component:
        """The component at ``node``. Raises ``BadInput`` at the place of what is wrong with it."""
        table = node.table
        key = next((key for key in ("path", "name", "ref") if key in table), None)
        if key is None:
            raise BadInput("a component without name or path", where=str(node.place))
        called, place = self.value(table[key]), table[key].place
        if not isinstance(called, str) or not _DOTTED.fullmatch(called):
            raise BadInput(f"{key} must be the name of a class, is {called!r}", where=str(place))
        if key == "path" and "." not in called:
            raise BadInput(f"path must look like module.Class, is {called!r}", where=str(place))
        args = self._args(table.get("args"))
        disabled = self._disabled(table, args)
        beside = {
            name: self.value(item) for name, item in table.items() if name not in ("name", "path", "args", "disabled")
        }
        ref = str(beside.pop("ref", ""))
        for name in sorted(beside.keys() - _BESIDE):
            self.findings.warn(f"{name!r} beside a component means nothing: left out", table[name].place)
        places = {name: item.place for name, item in table["args"].table.items()} if "args" in table else {}
        return Component(called, "." in called, args, beside, place, places, disabled, ref)

    def _args(self, node: Placed | None) -> dict[str, Any]:
        if node is None or node.value is None:
            return {}
        return {name: self.value(item) for name, item in node.table.items()}

    def _disabled(self, table: Mapping[str, Placed], args: dict[str, Any]) -> bool:
        value = self.value(table["disabled"]) if "disabled" in table else False
        if isinstance(args.get("disabled"), bool):
            self.findings.warn("disabled stands inside args: taken as if beside it", table["args"].place)
            value = args.pop("disabled")
        if isinstance(value, bool | int):
            return bool(value)
        if isinstance(value, Unresolved):
            self.findings.warn(f"disabled is {{{value.name}}}, which is not defined: taken as false", value.place)
            return False
        raise BadInput(f"disabled must be true or false, is {value!r}", where=str(table["disabled"].place))

    def value(self, node: Placed) -> Any:
        """The value at ``node``: variables resolved, components and Python recognised."""
        match node.value:
            case str() as text:
                return self._text(text, node.place)
            case list() as items:
                return [self.value(item) for item in items]
            case dict() as table:
                if _is_component(table):
                    return self.read(node)
                return {key: self.value(item) for key, item in table.items()}
        return node.value

    def _text(self, text: str, place: Place) -> Any:
        whole = _WHOLE.fullmatch(text)
        if whole and whole[1] not in self.variables:
            return Unresolved(whole[1], place)
        try:
            filled = self.variables.filled(text)
        except BadInput as error:
            raise BadInput(error.what, where=str(place)) from None
        if not isinstance(filled, str):
            return filled
        kind = self._python(filled)
        if not kind:
            left = _LEFT.search(filled)
            return Unresolved(left[1], place) if left else filled
        try:
            return Code(parse(filled[1:] if kind == "#" else filled), place)
        except BadInput as error:
            raise BadInput(error.what, where=str(place), hint=error.hint) from None

    def _python(self, text: str) -> Literal["", "lambda", "#", "@"]:
        if _PYTHON.match(text):
            return "lambda"
        if self.explicit and text[:1] in ("#", "@") and len(text) > 1:
            return "#" if text[0] == "#" else "@"
        return ""


def _is_component(table: Mapping[str, Placed]) -> bool:
    """A table that names a class and has nothing beside it that a component has not."""
    named = table.get("path") or table.get("name")
    return named is not None and isinstance(named.value, str) and table.keys() - {"name", "path"} <= _BESIDE


def unresolved(value: Any) -> Iterator[Unresolved]:
    """Every variable that is missing in ``value`` and below, but for what is disabled."""
    match value:
        case Unresolved():
            yield value
        case Component(disabled=False):
            yield from unresolved(value.args)
            yield from unresolved(value.beside)
        case dict():
            for item in value.values():
                yield from unresolved(item)
        case list():
            for item in value:
                yield from unresolved(item)
