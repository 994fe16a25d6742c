"""What the figures of a run say, in sentences for a doctor. Nothing is said that the figures do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rondo.simulator.figures import ALL, Results

MEANING = (
    "The figure is the AUC: the chance that the model rates a patient with a finding above a patient without one. "
    "0.5 is a coin toss, 1 is never wrong. The small figures are the 95 % interval: how much the AUC would move "
    "if other patients of the same kind had been drawn."
)
LIMITS = (
    "The records are public and date from 1984 to 1987; a finding is what the laboratory wrote at the time. The "
    "report shows that clinics can train one model without pooling their records. It does not show that this model "
    "should be used on patients."
)


def number(value: float) -> str:
    """An AUC as it is printed."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(count: int) -> str:
    """Small numbers as words."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[count] if count < len(words) else f"{count:,}"


def headline(results: Results) -> str:
    """The whole report in one sentence."""
    together, alone = _on_all(results, "best"), _on_all(results, "mean")
    return (
        f"The model trained together reaches {number(together)} on the patients of all clinics; "
        f"a clinic’s own model reaches {number(alone)} on average."
    )


def done(results: Results) -> str:
    """What was done, and with whose records."""
    clinics = results.clinics
    patients = sum(c.train + c.validation + c.test for c in clinics)
    share = sum(c.findings for c in clinics) / patients
    return (
        f"{counted(len(clinics)).capitalize()} clinics hold the records of {patients:,} patients who were sent "
        f"for thyroid tests; in {share:.0%} of them the laboratory made a finding. A small neural network rates how "
        "likely a finding is, from age, sex, history and laboratory values. Every clinic trained it on its own "
        "patients and sent back only the network’s weights; their mean was what all began the next round with, "
        f"{results.run.rounds} times. "
        "Every clinic was a process of its own, given its own records alone."
    )


def outcome(results: Results) -> str:
    """What came out on the test patients of all clinics."""
    together, alone, pooled = (_on_all(results, kind) for kind in ("best", "mean", "pooled"))
    tests = results.row("best").aucs[ALL].patients
    sites = [clinic.site for clinic in results.clinics]
    lone = sorted(zip((row.aucs[ALL].value for row in results.alone), sites, strict=True))
    (low, worst), (high, best) = lone[0], lone[-1]
    text = (
        f"On {tests:,} patients of all clinics that took no part in training, the model trained together reaches "
        f"{number(together)}. The clinics’ own models reach {number(alone)} on average, from "
        f"{number(low)} (“{worst}”) to {number(high)} (“{best}”). "
    )
    if together <= alone:
        return text + "On these figures, training together did not help."
    if together >= pooled:
        return text + f"With all records in one place it would have been no better: {number(pooled)}."
    share = (together - alone) / (pooled - alone)
    return text + (
        f"With all records in one place it would have been {number(pooled)}: training together went "
        f"{share:.0%} of the way there, without moving a record."
    )


def at_home(results: Results) -> str:
    """Each clinic’s own patients: its own model against the one trained together."""
    best = results.row("best")
    gained: list[str] = []
    lost: list[str] = []
    for clinic, row in zip(results.clinics, results.alone, strict=True):
        own, together = row.aucs[clinic.site].value, best.aucs[clinic.site].value
        if math.isnan(own) or math.isnan(together):
            continue
        said = f"“{clinic.site}” ({number(own)} alone, {number(together)} together)"
        (gained if together >= own else lost).append(said)
    text = "At home, on a clinic’s own patients, "
    if gained:
        text += f"the model trained together does at least as well as the clinic’s own at {listed(gained)}"
    if lost:
        text += ("; " if gained else "") + f"the clinic’s own does better at {listed(lost)}"
    text += ". Where the intervals overlap, as they do where patients are few, such differences may be chance."
    if _on_all(results, "best") > max(row.aucs[ALL].value for row in results.alone):
        text += " What every clinic gains is a model that holds for the other clinics’ patients as well."
    return text


def _on_all(results: Results, kind: str) -> float:
    return next(row for row in results.rows if row.kind == kind).aucs[ALL].value
