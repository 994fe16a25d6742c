"""Keep tensors at home, by name: the server keeps their old values, or takes them from other sites.

Clara's ExcludeVars, with one difference: a listed name that the model does not have is an error, because
somebody believes that tensor to be protected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from rondo.base import options as base
from rondo.base.errors import BadInput
from rondo.base.options import nearest
from rondo.filters.seam import Filter, Outgoing


class Options(base.Options, frozen=True):
    """``vars``: a list of tensor names, or one regular expression that is searched in every name."""

    vars: list[str] | str

    def __post_init__(self) -> None:
        if not self.vars:
            raise ValueError("vars is empty: name the tensors to keep at home, or drop the filter")
        if isinstance(self.vars, str):
            try:
                re.compile(self.vars)
            except re.error as error:
                raise ValueError(f"vars is not a regular expression: {error}") from None


@dataclass(frozen=True)
class ExcludeVars:
    """Leaves out the tensors that ``vars`` names."""

    vars: tuple[str, ...] | re.Pattern[str]

    def apply(self, outgoing: Outgoing, rng: np.random.Generator) -> Outgoing:
        """See ``Filter.apply``. Raises ``BadInput`` for a listed name that the model does not have."""
        if isinstance(self.vars, re.Pattern):
            found = self.vars
            return outgoing.without([name for name in outgoing.dtypes if found.search(name)])
        known = outgoing.dtypes.keys() | outgoing.omitted
        for name in self.vars:
            if name not in known:
                raise BadInput(f"the model has no tensor {name!r}", hint=nearest(name, known))
        return outgoing.without([name for name in self.vars if name in outgoing.dtypes])


def build(options: Options) -> Filter:
    """The filter."""
    return ExcludeVars(re.compile(options.vars) if isinstance(options.vars, str) else tuple(options.vars))
