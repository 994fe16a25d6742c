"""What Clara's lambdas see: MONAI 0.5 gave them one batch, today's gives them a list with one entry a case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_META = "_meta_dict"


class Batch(Mapping[str, Any]):
    """The cases of a batch as one table: tensors of one shape are stacked, numbers are taken from the first.

    ``image_meta_dict`` is the list of what each image carries with it.
    """

    def __init__(self, cases: list[Mapping[str, Any]]) -> None:
        self._cases = cases

    def __getitem__(self, key: str) -> Any:
        if key.endswith(_META) and key not in self._cases[0]:
            return [dict(case[key.removesuffix(_META)].meta) for case in self._cases]
        torch = sys.modules["torch"]
        values = [_plain(case[key]) for case in self._cases]
        if all(isinstance(value, torch.Tensor) for value in values):
            if values[0].ndim == 0:
                return values[0]
            return torch.stack(values) if len({value.shape for value in values}) == 1 else values
        return values[0] if isinstance(values[0], int | float) else values

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases[0])

    def __len__(self) -> int:
        return len(self._cases[0])


def seeing_batches(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``function`` as Clara called it: with a batch, where today's MONAI has a list of cases."""

    def called(output: Any) -> Any:
        cases = isinstance(output, list) and output and all(isinstance(case, Mapping) for case in output)
        return function(Batch(output) if cases else output)

    return called


def _plain(value: Any) -> Any:
    return value.as_tensor() if hasattr(value, "as_tensor") else value
