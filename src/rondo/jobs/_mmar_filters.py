"""What an MMAR says of filters, as ours: by class name, arguments checked, Clara's defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rondo.base.errors import BadInput
from rondo.base.options import nearest
from rondo.jobs.components import Component, unresolved
from rondo.jobs.findings import Findings
from rondo.jobs.parts import Choice

HE = "homomorphic encryption is not part of this version"
FOREIGN = ("nvflare", "medl")


def known_as(component: Component) -> str:
    """The class's own name where it is one of Clara's or NVFlare's, wherever they kept it; "" for anybody else's."""
    root = component.name.partition(".")[0]
    return component.short if not component.dotted or root in FOREIGN else ""


def see_args(component: Component, known: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """The arguments of a component. Raises ``BadInput`` at the place of one that is unknown, or of another type."""
    for name, value in component.args.items():
        where = str(component.places.get(name, component.place))
        if name not in known:
            raise BadInput(f"{component.short} has no argument {name!r}", where=where, hint=nearest(name, known))
        for missing in unresolved(value):
            raise BadInput(f"{{{missing.name}}} is not defined", where=str(missing.place), hint=_DEFINE)
        kinds = known[name]
        if value is not None and not (isinstance(value, kinds) and isinstance(value, bool) <= _takes_bool(kinds)):
            raise BadInput(f"{component.short}: {name} cannot be {value!r}", where=where)
    return {name: value for name, value in component.args.items() if value is not None}


_DEFINE = "define it in config/environment.json, or with --set"
_NUMBER = (int, float)


def _takes_bool(kinds: type | tuple[type, ...]) -> bool:
    return bool in (kinds if isinstance(kinds, tuple) else (kinds,))


def _exclude_vars(component: Component, findings: Findings) -> Choice | None:
    args = see_args(component, {"exclude_vars": (str, list)})
    wanted = args.get("exclude_vars")
    if not wanted:
        findings.warn("ExcludeVars without exclude_vars does nothing: left out", component.place)
        return None
    if isinstance(wanted, str):
        see_regex(wanted, component)
    return Choice(name="exclude_vars", options={"vars": wanted}, place=str(component.place))


def see_regex(text: str, component: Component) -> None:
    """Raises ``BadInput`` where ``exclude_vars`` is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        where = str(component.places.get("exclude_vars", component.place))
        raise BadInput(f"exclude_vars is no regular expression: {error}", where=where) from None


def _percentile(component: Component, findings: Findings) -> Choice:
    args = see_args(component, {"percentile": _NUMBER, "gamma": _NUMBER})
    return Choice(name="percentile", options={**args, "keep_scalars": True}, place=str(component.place))


def _svt(component: Component, findings: Findings) -> Choice:
    names = ("fraction", "epsilon", "noise_var", "gamma", "tau")
    args = see_args(component, {**dict.fromkeys(names, _NUMBER), "literal": bool})
    if not args.get("literal"):
        findings.warn(
            "SVTPrivacy sends nothing that it did not add noise to: Clara's left some as they were",
            component.place,
            '"literal": true in its args for Clara\'s',
        )
    return Choice(name="svt", options={**args, "keep_scalars": True}, place=str(component.place))


_FILTERS: Mapping[str, Callable[[Component, Findings], Choice | None]] = {
    "ExcludeVars": _exclude_vars,
    "PercentilePrivacy": _percentile,
    "SVTPrivacy": _svt,
}


def outgoing(components: list[Component], findings: Findings) -> list[Choice]:
    """The filters of updates on their way out, in their order, without those of one's own, which come before."""
    found: list[Choice] = []
    for component in components:
        with findings.collecting():
            name = known_as(component)
            if not name and found:
                hint = "where the job's filters run there is no user code: write those of one's own first"
                raise BadInput(
                    f"{component.name} stands behind a filter of Rondo's", where=str(component.place), hint=hint
                )
            if not name:
                continue
            choice = as_choice(component, findings)
            found += [choice] if choice else []
    return found


def passing(components: list[Component], findings: Findings) -> list[Component]:
    """Those of a list of filters that change something, which are run by the worker that runs those of one's own."""
    found: list[Component] = []
    for component in components:
        with findings.collecting():
            if not known_as(component) or as_choice(component, findings) is not None:
                found.append(component)
    return found


def as_choice(component: Component, findings: Findings) -> Choice | None:
    """A filter of Clara's as Rondo's; None for one that does nothing. Raises ``BadInput`` at its place."""
    name = known_as(component)
    if name not in _FILTERS:
        raise refused(component, "filter", _FILTERS)
    return _FILTERS[name](component, findings)


def refused(component: Component, what: str, known: Mapping[str, Any]) -> BadInput:
    """Why a component is not taken: encryption, another name, or somebody's own class."""
    where, name = str(component.place), known_as(component)
    if name[:2] == "HE" and name[2:3].isupper():
        return BadInput(f"{name}: {HE}", where=where, hint="take it out of the list")
    if name:
        return BadInput(f"no {what} {name!r}", where=where, hint=nearest(name, known))
    return BadInput(f"{component.name!r}: a {what} of one's own is not run here", where=where, hint=nearest("", known))
