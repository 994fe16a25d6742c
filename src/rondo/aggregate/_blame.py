"""Who made a result that is not finite: looked for only when there is one."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from rondo.aggregate._blocks import Blocks, demand_finite
from rondo.aggregate._plan import Run
from rondo.base.errors import BadInput
from rondo.tensors.layout import Layout

_NAMED = 3


def blame(base: Path, model: Layout, part: Run, bad: int) -> NoReturn:
    """Raise ``BadInput`` for element ``bad`` of ``part``: names the site that sent NaN or infinity there.

    Where nobody did, finite numbers were too large together: the sites with the largest are named.
    """
    place = part.at(bad)
    blocks = Blocks()
    before = float(blocks.base(base, place)[0])
    sent = []
    for one, offset in place.senders:
        value = blocks.block("values", 1)
        blocks.values(place, one, offset, value)
        demand_finite(model, place, value, f"update of {one.site}")
        said = f"{before:g} + {value[0]:g}" if one.kind == "diff" else f"{value[0]:g}"
        sent.append((abs(float(value[0])), f"{one.site} ({said})"))
    sent.sort(key=lambda pair: -pair[0])
    tensor, index = place.place(model, 0)
    more = f" and {len(sent) - _NAMED} more" if len(sent) > _NAMED else ""
    raise BadInput(
        f"tensor {tensor!r} becomes too large for {part.dtype} at flat index {index}; the largest values came from "
        f"{', '.join(said for _, said in sent[:_NAMED])}{more}",
        where=f"fold of {len(sent)} updates",
        hint="look for a diverged loss or a learning rate that is too high at these sites",
    )
