"""The rules of the house, each a function from modules to faults (``path:line: what is wrong``).

Where a rule has exceptions they are listed here, each with its reason; an exception that nobody needs any more is
a fault too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from tests.arch.tree import Module, calls, classes, dotted, functions, imports

Rule = Callable[[Iterable[Module]], list[str]]

NAMELESS = ("Manager", "Handler", "Helper", "Util", "Utils", "Engine", "Processor", "Wrapper", "Service")

FILE_LINES = 400
FUNCTION_LINES = 60
PUBLIC_METHODS = 12
DEPTH = 2
ERROR_DEPTH = 3
PARAMETERS = 6

# Classes that may have more public methods: name -> why.
WIDE: dict[str, str] = {}

# Files that may wait by the clock: path -> why.
SLEEPERS: dict[str, str] = {
    "src/rondo/net/retry.py": "the pause between two attempts to reach a server",
    "src/rondo/base/following.py": "the pace of a live view; and a log that is turned over has no name for a moment",
    "src/rondo/client/app.py": "the heartbeat is an interval; nothing is waited for",
    "src/rondo/client/limits.py": "what a run takes is looked at once a second, for as long as it runs",
    "src/rondo/client/telling.py": "the pace of notes: what is over sooner is no news",
    "src/rondo/server/frontdesk.py": "the pace of a live view: what happens at once goes out at once",
    "src/rondo/server/audit.py": "the pace of a file: what is told at once is one write",
    "src/rondo/server/sessions.py": "the sweep of silent clients is itself a clock; it waits for nobody",
    "tests/net/proxy.py": "a slow line is made of waiting",
    "benchmarks/_idlers.py": "the heartbeat of a client",
    "benchmarks/idle.py": "how long a server that does nothing is watched",
}

# Files that may catch every exception: path -> what ends there.
LAST_RESORTS: dict[str, str] = {
    "src/rondo/worker/child.py": "a task ends there, whatever ended it; the worker reports it",
    "src/rondo/worker/program.py": "the user's program ends there",
    "src/rondo/server/runs.py": "one run ends there with the traceback; the server goes on",
    "src/rondo/server/rounds.py": "the task that folds ends there; what ended it goes on in the one that waits for it",
    "src/rondo/ledger/thread.py": "what was asked of it ends there; what ended it goes on in the one that waits",
    "src/rondo/net/calls.py": "one call ends there with a number for the log; the server goes on",
}

# What somebody outside of this repository meets: extension rooms, what extensions stand on, what scripts import.
PUBLIC_ROOMS = frozenset({"base", "tensors", "aggregate", "filters", "codecs", "jobs", "blobs", "trainers", "commands"})
PUBLIC_MODULES = frozenset({"rondo", "rondo.worker.api"})

PICKLES = frozenset({"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"})


def names_say_something(modules: Iterable[Module]) -> list[str]:
    """Words of the field, not Manager and Handler. (In ``compat`` names are as others gave them.)"""
    faults = []
    for module in modules:
        if module.room == "compat":
            continue
        for node in classes(module):
            words = re.findall(r"[A-Z][a-z]*", node.name)
            faults += [f"{module.at(node)}: class {node.name}" for word in NAMELESS if word in words]
        stem = module.name.rpartition(".")[2]
        if any(stem.rstrip("s") == word.lower().rstrip("s") for word in NAMELESS):
            faults.append(f"{module.path}:1: module {stem}")
    return faults


def classes_are_shallow(modules: Iterable[Module]) -> list[str]:
    """At most two deep among our own classes, three in the error tree.

    ``Options`` is what every options struct is, as foreign as ``msgspec.Struct``: it does not count.
    """
    modules = list(modules)
    bases = {key: parents for module in modules for key, parents in _class_table(module)}
    places = {f"{module.name}.{node.name}": module.at(node) for module in modules for node in classes(module)}
    faults = []
    for key, place in places.items():
        line = list(_ancestors(key, bases))
        limit = ERROR_DEPTH if any(name.endswith((".RondoError", "Exception")) for name in line) else DEPTH
        own = [name for name in line if name in places and name != "rondo.base.options.Options"]
        if len(own) > limit:
            faults.append(f"{place}: class {key.rpartition('.')[2]} is {len(own)} deep (at most {limit})")
    return faults


def _class_table(module: Module) -> Iterator[tuple[str, list[str]]]:
    """Full name of every class of ``module`` with the full names of its bases, as far as imports tell them."""
    known = {node.name: f"{module.name}.{node.name}" for node in classes(module)}
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and not node.level:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            known |= {alias.asname: alias.name for alias in node.names if alias.asname}
    for node in classes(module):
        yield known[node.name], [_full(dotted(_bare(base)), known) for base in node.bases]


def _bare(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _full(name: str, known: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return known.get(first, first) + dot + rest


def _ancestors(key: str, bases: Mapping[str, list[str]]) -> Iterator[str]:
    """``key`` and its longest line of ancestors."""
    yield key
    lines = [list(_ancestors(parent, bases)) for parent in bases.get(key, []) if parent != key]
    yield from max(lines, key=len, default=[])


def files_are_short(modules: Iterable[Module]) -> list[str]:
    return [
        f"{module.path}:{FILE_LINES + 1}: {len(module.lines)} lines (at most {FILE_LINES})"
        for module in modules
        if len(module.lines) > FILE_LINES
    ]


def functions_are_short(modules: Iterable[Module]) -> list[str]:
    faults = []
    for module in modules:
        for node in functions(module):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                faults.append(f"{module.at(node)}: {node.name} has {length} lines (at most {FUNCTION_LINES})")
    return faults


def classes_are_small(modules: Iterable[Module]) -> list[str]:
    faults = []
    for module in modules:
        for node in classes(module):
            public = [item.name for item in node.body if _is_public_method(item)]
            if len(public) > PUBLIC_METHODS and f"{module.name}.{node.name}" not in WIDE:
                faults.append(f"{module.at(node)}: {node.name} has {len(public)} public methods")
    return faults


def _is_public_method(item: ast.stmt) -> bool:
    return isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and not item.name.startswith("_")


def nobody_sleeps(modules: Iterable[Module]) -> list[str]:
    """Nothing waits by the clock, outside ``SLEEPERS``. ``sleep(0)`` only lets others run."""
    return [
        f"{module.at(call)}: {ast.unparse(call)}"
        for module in modules
        if module.path not in SLEEPERS
        for call, name in calls(module)
        if name.rpartition(".")[2] == "sleep" and not _is_zero(call)
    ]


def _is_zero(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def nobody_catches_everything(modules: Iterable[Module]) -> list[str]:
    """``except Exception`` (or wider) only in ``LAST_RESORTS``, or where the last statement raises."""
    faults = []
    for module in modules:
        for node in module.nodes:
            if not isinstance(node, ast.ExceptHandler) or module.path in LAST_RESORTS:
                continue
            if _is_broad(node.type) and not isinstance(node.body[-1], ast.Raise):
                faults.append(f"{module.at(node)}: catches everything")
    return faults


def _is_broad(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(one is None or dotted(one) in {"Exception", "BaseException"} for one in kinds)


def nothing_is_pickled(modules: Iterable[Module]) -> list[str]:
    """No pickle on anything: a pickle is a program."""
    faults = []
    for module in modules:
        faults += [
            f"{one.where}: imports {one.target}" for one in imports(module) if one.target.split(".")[0] in PICKLES
        ]
        for call, name in calls(module):
            options = {word.arg: word.value for word in call.keywords}
            if _is_true(options.get("allow_pickle")):
                faults.append(f"{module.at(call)}: allow_pickle")
            if name.endswith("torch.load") and not _is_true(options.get("weights_only")):
                faults.append(f"{module.at(call)}: torch.load without weights_only=True")
    return faults


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def nothing_is_left_open(modules: Iterable[Module]) -> list[str]:
    """No note of work to be done, no body that is not there."""
    # Written apart, or the rule would find itself.
    notes = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
    missing = "NotImplemented" + "Error"
    faults = []
    for module in modules:
        for number, line in enumerate(module.lines, 1):
            if notes.search(line) or re.search(rf"raise {missing}\b", line):
                faults.append(f"{module.at(number)}: {line.strip()[:60]}")
        faults += [f"{module.at(node)}: {node.name} has no body" for node in _empty_functions(module)]
    return faults


def _empty_functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions that are only ``...`` or ``pass``, outside protocols and overloads."""
    in_protocols = {
        id(item)
        for node in classes(module)
        if any(dotted(_bare(base)).endswith("Protocol") for base in node.bases)
        for item in node.body
    }
    for node in functions(module):
        overload = any(dotted(decorator).endswith("overload") for decorator in node.decorator_list)
        only = node.body[0] if len(node.body) == 1 else None
        dots = isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant) and only.value.value is ...
        if (dots or isinstance(only, ast.Pass)) and id(node) not in in_protocols and not overload:
            yield node


def public_things_are_told(modules: Iterable[Module]) -> list[str]:
    """A docstring on every module; in ``PUBLIC_ROOMS`` also on every public class and function.

    The kinds of error have theirs in one drawing, at the top of ``rondo.base.errors``. What ``build`` and ``run``
    of an extension do is told once, in the seam of the room.
    """
    faults = []
    for module in modules:
        if len(ast.get_docstring(module.tree) or "") < 10:
            faults.append(f"{module.path}:1: the module does not say what it is")
        if module.room not in PUBLIC_ROOMS and module.name not in PUBLIC_MODULES:
            continue
        for node in module.tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            drawn = module.name == "rondo.base.errors" and isinstance(node, ast.ClassDef)
            if not ast.get_docstring(node) and not drawn and node.name not in ("build", "run"):
                faults.append(f"{module.at(node)}: {node.name} has no docstring")
    return faults


# ---- rules for tests ----------------------------------------------------------------------------------------------


def tests_use_the_real_thing(modules: Iterable[Module]) -> list[str]:
    """No mocks, no patched attributes: a fake is a real implementation."""
    faults = []
    for module in modules:
        faults += [f"{one.where}: {one.target}" for one in imports(module) if "mock" in one.target.split(".")]
        for node in module.nodes:
            if isinstance(node, ast.ImportFrom) and any(alias.name == "mock" for alias in node.names):
                faults.append(f"{module.at(node)}: mock")
        for call, name in calls(module):
            if name.endswith("monkeypatch.setattr") or name.startswith("mocker."):
                faults.append(f"{module.at(call)}: {name}")
    return faults


def tests_are_run(modules: Iterable[Module]) -> list[str]:
    """No test is skipped or expected to fail."""
    words = {"skip", "skipif", "xfail", "importorskip", "skipTest", "SkipTest"}
    return [
        f"{module.at(node)}: {dotted(node)}"
        for module in modules
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node.attr in words and dotted(node).startswith(("pytest.", "unittest."))
    ]


EVERYWHERE: tuple[Rule, ...] = (
    names_say_something,
    classes_are_shallow,
    files_are_short,
    functions_are_short,
    nobody_sleeps,
    nothing_is_pickled,
    nothing_is_left_open,
)
IN_SOURCE: tuple[Rule, ...] = (*EVERYWHERE, classes_are_small, nobody_catches_everything, public_things_are_told)
IN_TESTS: tuple[Rule, ...] = (*EVERYWHERE, tests_use_the_real_thing, tests_are_run)
