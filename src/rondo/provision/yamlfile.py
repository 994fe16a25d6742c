"""YAML from people: plain data only, bounded, no key twice, no aliases, so that nothing can be hidden or explode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rondo.base.errors import BadInput

_MAX_BYTES = 512 * 1024
_MAX_DEPTH = 20


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in the YAML file ``path``. Raises ``BadInput`` with the line of the offence."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) > _MAX_BYTES:
        raise BadInput(f"larger than {_MAX_BYTES} bytes", where=str(path))
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, where: str) -> dict[str, Any]:
    """As ``read_yaml``, for content already read."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8 text", where=where) from None
    try:
        _check_events(text, where)
        value = yaml.load(text, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise BadInput(f"not valid YAML: {_problem(error)}", where=f"{where}{line}") from None
    except ValueError as error:  # a date or number that is none, such as 2024-99-99
        raise BadInput(f"not valid YAML: {error}", where=where) from None
    if not isinstance(value, dict):
        raise BadInput("expected keys and values at the top", where=where)
    return value


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).splitlines()[0]


def _check_events(text: str, where: str) -> None:
    """Refuse aliases and deep nesting before anything is built (PyYAML builds recursively)."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = f"{where}, line {event.start_mark.line + 1}" if event.start_mark else where
        if isinstance(event, yaml.AliasEvent):
            raise BadInput(f"alias *{event.anchor} is not accepted", where=line, hint="write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise BadInput(f"nested deeper than {_MAX_DEPTH} levels", where=line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else True:
                problem = f"key {key.value!r} is there twice" if isinstance(key, yaml.ScalarNode) else "key is no word"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
