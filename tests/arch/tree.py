"""The code as syntax trees: what the rules of the house look at. Nothing is imported, so nothing can hide."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: ``name`` as imported, ``path`` as a person finds it from the repository's root."""

    name: str
    path: str
    source: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]  # all of the tree, walked once

    @property
    def room(self) -> str:
        """``tensors`` for ``rondo.tensors.files``; empty for the package ``rondo`` itself and outside of it."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "rondo" and len(parts) > 1 and not self.is_roof else ""

    @property
    def is_roof(self) -> bool:
        """``rondo/__init__.py`` and files beside it: what ``import rondo`` gives a training script."""
        return self.path.endswith(("/rondo/__init__.py", f"/rondo/{self.name.split('.')[-1]}.py"))

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]

    @property
    def lines(self) -> list[str]:
        return self.source.splitlines()

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler | int) -> str:
        """``path:line``, as every fault begins."""
        return f"{self.path}:{node if isinstance(node, int) else node.lineno}"


@dataclass(frozen=True)
class Code:
    """What could be read of a tree of files, and what could not."""

    modules: tuple[Module, ...]
    broken: tuple[str, ...]


def read(base: Path, *folders: str) -> Code:
    """Every Python file below ``base/folder``, sorted by path; generated code is left out.

    Module names start where the package does: ``src`` is no part of them.
    """
    modules: list[Module] = []
    broken: list[str] = []
    for file in sorted(file for folder in folders for file in (base / folder).rglob("*.py")):
        if "_pb2" in file.name:
            continue
        path = file.relative_to(base)
        parts = path.with_suffix("").parts
        parts = parts[1:] if parts[0] == "src" else parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        source = file.read_text(encoding="utf-8")
        try:
            tree = ast.parse(source, filename=str(path))
        except SyntaxError as error:
            broken.append(f"{path}:{error.lineno}: {error.msg}")
            continue
        modules.append(Module(".".join(parts), path.as_posix(), source, tree, tuple(ast.walk(tree))))
    return Code(tuple(modules), tuple(broken))


@cache
def house(*folders: str) -> Code:
    """``read`` of this repository, once for all tests."""
    return read(ROOT, *folders)


def functions(module: Module) -> Iterator[Function]:
    return (node for node in module.nodes if isinstance(node, Function))


def classes(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in module.nodes if isinstance(node, ast.ClassDef))


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called (empty where it has none)."""
    return ((node, dotted(node.func)) for node in module.nodes if isinstance(node, ast.Call))


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of such an expression; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return f".{node.attr}" if isinstance(node, ast.Attribute) else ""


@dataclass(frozen=True)
class Import:
    """One imported module.

    ``top``: not in a function. ``typing``: seen by the type checker alone. ``called``: by ``import_module("...")``.
    """

    module: Module
    target: str
    line: int
    top: bool
    typing: bool
    called: bool

    @property
    def room(self) -> str:
        """The room of Rondo that is imported; ``rondo`` for the package itself, empty for foreign modules."""
        parts = self.target.split(".")
        return "" if parts[0] != "rondo" else parts[1] if len(parts) > 1 else "rondo"

    @property
    def where(self) -> str:
        return self.module.at(self.line)


def imports(module: Module) -> list[Import]:
    """Every import, also those inside functions, under ``if TYPE_CHECKING`` and by ``import_module("...")``."""
    found: list[Import] = []
    inside = {id(inner) for function in functions(module) for inner in ast.walk(function)}
    typing = {id(inner) for node in module.nodes if _for_types(node) for inner in ast.walk(node)}
    for node in module.nodes:
        for target in _targets(module, node):
            line, called = getattr(node, "lineno", 0), isinstance(node, ast.Call)
            found.append(Import(module, target, line, id(node) not in inside, id(node) in typing, called))
    return sorted(found, key=lambda one: (one.line, one.target))


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and dotted(node.test).rpartition(".")[2] == "TYPE_CHECKING"


def _targets(module: Module, node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _base(module, node)
        # ``from rondo import net`` imports the room; ``from rondo.net import serve`` may import a module of it.
        return [f"{base}.{alias.name}" if base == "rondo" else base for alias in node.names]
    if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in {"import_module", "__import__"}:
        return [word.value for word in node.args[:1] if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return []


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)
