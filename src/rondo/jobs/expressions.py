"""Python that stands in a configuration (``lambda x: x["pred"]``, ``#@model.parameters()``), kept on a short leash.

Theory of operation. The text is parsed, and every node of it must be one of a list: no statement, no builtin, no name
that begins with an underscore, no power, no format string. Names are the lambda's own, objects of the configuration
(``@name``), and the packages of ``PACKAGES``; of those only what ``is_open`` says. What a module hands out is looked
at again when the expression runs, so that no module leads to another one (``monai.data.utils.os``). A configuration
that stays within this chooses among what the libraries offer; who needs more writes a class in ``custom/``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

from rondo.base.errors import BadInput

MOST_CHARACTERS = 4000

PACKAGES = {"monai": "monai", "torch": "torch", "np": "numpy", "numpy": "numpy", "ignite": "ignite"}
"""The names that an expression may use, and the packages they mean."""

OPEN = (
    "monai.data", "monai.engines", "monai.handlers", "monai.inferers", "monai.losses", "monai.metrics",
    "monai.networks", "monai.optimizers", "monai.transforms", "torch.nn", "torch.optim", "torch.utils.data",
    "ignite.metrics", "ignite.handlers", "ignite.engine", "ignite.contrib.handlers",
)  # fmt: skip
"""Packages whose classes and functions a configuration may use, with all below them."""

_FUNCTIONS = {
    "torch": "abs all any arange argmax argmin argsort as_tensor bool cat clamp device eq exp eye flatten float "
    "float16 float32 float64 full int int32 int64 isnan log log10 logical_and logical_not logical_or long "
    "max mean median min nan_to_num norm ones ones_like permute relu reshape round sigmoid softmax sqrt "
    "squeeze stack std sum tanh tensor topk transpose unique unsqueeze var where zeros zeros_like Tensor",
    "numpy": "abs all any arange argmax argmin array asarray bool_ clip concatenate exp expand_dims float32 "
    "float64 inf int32 int64 isnan log log10 logical_and logical_not logical_or max maximum mean median "
    "min minimum nan ndarray newaxis ones pi prod round sqrt squeeze stack std sum transpose uint8 unique "
    "where zeros",
}
_LISTED = {package: frozenset(names.split()) for package, names in _FUNCTIONS.items()}

# What values of these libraries can do that reaches beyond them: files, other formats of text, other code.
_ATTRIBUTES = (
    "format format_map tofile dump dumps save load loads open read write map_ apply_ share_memory_ register_hook "
    "optional_import load_submodules run_eval run_debug torchscript compile eval exec script trace"
)
_REFUSED = frozenset(_ATTRIBUTES.split())
_FILES = re.compile(r"load|save|pickle|download|import|script", re.IGNORECASE)

_NODES: tuple[type[ast.AST], ...] = (
    ast.Expression, ast.Lambda, ast.arguments, ast.arg, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Call,
    ast.keyword, ast.Constant, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp,
    ast.unaryop, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr,
    ast.BoolOp, ast.boolop, ast.Compare, ast.cmpop, ast.IfExp, ast.ListComp, ast.DictComp, ast.GeneratorExp,
    ast.comprehension, ast.Starred,
)  # fmt: skip
_QUOTED_OR_REFERENCE = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|@([A-Za-z]\w*+)""")
_REFERENCE = "_at_"
_GET = "_get"


@dataclass(frozen=True)
class Expression:
    """A checked expression. ``references``: the ``@names`` in it, in their order."""

    text: str
    references: tuple[str, ...]
    code: CodeType

    def value(self, packages: Mapping[str, ModuleType], objects: Callable[[str], Any]) -> Any:
        """What it is worth. ``packages``: by the names in ``PACKAGES``; ``objects``: what ``@name`` means.

        Raises ``BadInput`` for what is refused only now, and whatever evaluating it raises.
        """
        names: dict[str, Any] = {"__builtins__": {}, _GET: _get, **packages}
        names |= {_REFERENCE + name: objects(name) for name in self.references}
        return eval(self.code, names)


def parse(text: str) -> Expression:
    """The expression ``text``, where all of it is allowed. Raises ``BadInput`` naming what is not."""
    if len(text) > MOST_CHARACTERS:
        raise BadInput(f"an expression of more than {MOST_CHARACTERS} characters")
    references: list[str] = []

    def named(found: re.Match[str]) -> str:
        if not found[1]:
            return found[0]
        references.append(found[1])
        return _REFERENCE + found[1]

    try:
        tree = ast.parse(_QUOTED_OR_REFERENCE.sub(named, text.strip()), mode="eval")
        _check(tree)
        checked = ast.fix_missing_locations(_Guard().visit(tree))
        code = compile(checked, "<configuration>", "eval", dont_inherit=True)
    except SyntaxError as error:
        raise BadInput(f"no Python expression: {error.msg}", where=_short(text)) from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise BadInput("no Python expression", where=_short(text)) from None
    return Expression(text, tuple(dict.fromkeys(references)), code)


def is_open(dotted: str) -> bool:
    """Whether a configuration may use what is called ``package.module.name``."""
    if any(dotted == package or dotted.startswith(f"{package}.") for package in OPEN):
        return True
    package, _, name = dotted.rpartition(".")
    return name in _LISTED.get(package, ())


def _check(tree: ast.Expression) -> None:
    known = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    known |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise _refused(f"{type(node).__name__.lower()} is not allowed")
        match node:
            case ast.Name(name) if name not in known:
                if name not in PACKAGES and not name.startswith(_REFERENCE):
                    raise _refused(f"the name {name!r} is not allowed")
            case ast.Name(name) | ast.arg(name):
                if name.startswith("_") or name in PACKAGES:
                    raise _refused(f"the name {name!r} is not allowed")
            case ast.Attribute(_, name) if name.startswith("_") or name in _REFUSED:
                raise _refused(f"the attribute {name!r} is not allowed")
            case ast.keyword(str(name)) if name.startswith("_"):
                raise _refused(f"the argument {name!r} is not allowed")
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            _check_chain(node, known)


def _check_chain(node: ast.Attribute, known: set[str]) -> None:
    names: list[str] = []
    part: ast.expr = node
    while isinstance(part, ast.Attribute):
        names.append(part.attr)
        part = part.value
    if not isinstance(part, ast.Name) or part.id in known or part.id not in PACKAGES:
        return
    dotted = [PACKAGES[part.id], *reversed(names)]
    if not any(is_open(".".join(dotted[:count])) for count in range(2, len(dotted) + 1)):
        raise _refused(f"{'.'.join(dotted)!r} is not allowed")


class _Guard(ast.NodeTransformer):
    """Every attribute is fetched by ``_get``."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = self.visit(node.value)
        return ast.Call(ast.Name(_GET, ast.Load()), [value, ast.Constant(node.attr)], [])


def _get(value: Any, name: str) -> Any:
    found = getattr(value, name)
    if not isinstance(value, ModuleType) and not isinstance(found, ModuleType):
        return found
    if isinstance(found, ModuleType):
        home = found.__name__
        fine = is_open(home) or any(package.startswith(f"{home}.") for package in OPEN)
    else:
        home = f"{getattr(value, '__name__', '')}.{name}"
        own = getattr(found, "__module__", None)
        listed = is_open(home) and name in _LISTED.get(home.rpartition(".")[0], ())
        fine = listed or (is_open(home) and (own is None or is_open(own)) and not _FILES.search(_function(found)))
    if not fine:
        raise _refused(f"{home!r} is not allowed")
    return found


def _function(found: Any) -> str:
    """The name of a function; "" for anything else (a class ``LoadImage`` reads data, a function may read programs)."""
    return "" if isinstance(found, type) else str(getattr(found, "__name__", ""))


def _refused(what: str) -> BadInput:
    return BadInput(
        f"{what} in an expression",
        hint="allowed are operators, the lambda's own names, @names, and classes and functions of monai, torch.nn, "
        "torch.optim and ignite; anything else goes into a class in custom/",
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
