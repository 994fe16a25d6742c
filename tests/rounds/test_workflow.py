"""Which rounds a run consists of (T2), and where one that was killed goes on."""

from __future__ import annotations

import pytest

from rondo.rounds.workflow import Step, Workflow


def steps(workflow: Workflow, first: Step) -> list[tuple[str, int]]:
    """All steps from ``first`` to the end."""
    found, step = [], first
    while step.task != "finish":
        found.append((step.task, step.round))
        step = workflow.after(step)
    return found


def test_faq_T2_rounds_go_from_the_start_round_to_the_absolute_end() -> None:
    workflow = Workflow(start_round=2, num_rounds=5, final_validation=False)
    assert steps(workflow, workflow.resume(None, False)) == [("train", 2), ("train", 3), ("train", 4)]


@pytest.mark.parametrize("start", [5, 6, 50])
def test_faq_T2_a_start_at_the_end_or_beyond_has_nothing_to_do(start: int) -> None:
    """Not even the last model is measured: no round of this run made it."""
    assert Workflow(start, 5, final_validation=True).resume(None, False) == Step("finish", 5, 5)


def test_a_round_starts_from_the_version_of_its_number() -> None:
    workflow = Workflow(0, 3, final_validation=False)
    assert workflow.resume(None, False) == Step("train", 0, version=0)
    assert workflow.resume(1, False) == Step("train", 2, version=2)


def test_the_last_version_is_measured_in_a_round_of_its_own() -> None:
    workflow = Workflow(0, 2, final_validation=True)
    assert steps(workflow, workflow.resume(None, False)) == [("train", 0), ("train", 1), ("validate", 2)]
    assert workflow.after(Step("train", 1, 1)) == Step("validate", 2, version=2)


@pytest.mark.parametrize(
    ("trained", "validated", "left"),
    [
        (None, False, [("train", 1), ("train", 2), ("validate", 3)]),
        (1, False, [("train", 2), ("validate", 3)]),
        (2, False, [("validate", 3)]),
        (2, True, []),
    ],
)
def test_a_run_that_was_killed_goes_on_after_its_last_committed_round(
    trained: int | None, validated: bool, left: list[tuple[str, int]]
) -> None:
    workflow = Workflow(1, 3, final_validation=True)
    assert steps(workflow, workflow.resume(trained, validated)) == left


def test_the_end_stays_the_end() -> None:
    workflow = Workflow(0, 2, final_validation=True)
    assert workflow.after(Step("finish", 2, 2)) == Step("finish", 2, 2)
