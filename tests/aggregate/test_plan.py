from __future__ import annotations

from pathlib import Path

from rondo.aggregate._plan import Run, Source, runs
from rondo.aggregate.seam import Contribution
from rondo.tensors.layout import Layout, Spec, header_of, parse_header

A: Spec = ("a", "F32", (2, 3))
B: Spec = ("b", "F32", (4,))
C: Spec = ("c", "F64", (1,))
E: Spec = ("e", "F32", (0,))


def layout(*schema: Spec) -> Layout:
    return parse_header(header_of(schema)[8:], "test")


def source(*schema: Spec) -> Source:
    return Source(Contribution("site", Path("file"), "diff", 1.0), layout(*schema))


def spans(model: Layout, *sources: Source) -> list[tuple[str, int, int]]:
    """Dtype, elements and senders of each run."""
    return [(run.dtype, run.count, len(run.senders)) for run in runs(model, sources)]


def test_neighbours_of_one_dtype_are_one_run() -> None:
    assert spans(layout(A, E, B, C), source(A, E, B, C), source(C, A, B, E)) == [("F32", 10, 2), ("F64", 1, 2)]


def test_what_does_not_lie_together_in_a_sender_is_apart() -> None:
    assert spans(layout(A, B), source(B, A)) == [("F32", 6, 1), ("F32", 4, 1)]
    assert spans(layout(A, B), source(A, B), source(A)) == [("F32", 6, 2), ("F32", 4, 1)]
    assert spans(layout(A, B)) == [("F32", 10, 0)]
    assert spans(layout(E)) == []


def test_a_run_is_cut_into_parts() -> None:
    sent = source(A).sent
    run = Run("F32", 10, 100, ((sent, 60),))
    assert list(run.parts(4)) == [
        Run("F32", 4, 100, ((sent, 60),)),
        Run("F32", 4, 116, ((sent, 76),)),
        Run("F32", 2, 132, ((sent, 92),)),
    ]
    assert run.nbytes == 40
