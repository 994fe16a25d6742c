"""The report as one HTML page: no script, no picture file, no request to anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from rondo.simulator.charts import intervals, learning
from rondo.simulator.figures import ALL, Auc, Clinic, Results, Row
from rondo.simulator.style import STYLE
from rondo.simulator.words import LIMITS, MEANING, at_home, counted, done, headline, number, outcome


def page(results: Results) -> str:
    """The whole document."""
    title = f"One model, {counted(len(results.clinics))} clinics"
    parts = [
        f'<p class="over">{escape(_over(results))}</p>',
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(headline(results))}</p>',
        f"<p>{escape(done(results))}</p>",
        f"<p>{escape(outcome(results))}</p>",
        _comparison(results),
        _pictures(results),
        f"<h2>What this does not show</h2>\n<p>{escape(LIMITS)}</p>",
        _facts(results),
        "<footer>Every figure on this page was computed from the run it describes. "
        "<code>report.json</code> beside it holds them for machines.</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _over(results: Results) -> str:
    return f"Rondo · run {results.run.number} · {results.run.job} · {_day(results)}"


def _day(results: Results) -> str:
    at = datetime.fromtimestamp(results.run.started, UTC)
    return f"{at.day} {at:%B %Y}"


def _comparison(results: Results) -> str:
    heads = [
        f"<th>{escape('All clinics' if column == ALL else column)}<small>{_patients(results, column)}</small></th>"
        for column in results.columns
    ]
    rows = [_row(row, results) for row in results.rows]
    return (
        "<h2>Each model on each clinic’s patients</h2>\n"
        '<div class="wide"><table>\n'
        f"<thead><tr><th>Model</th>{''.join(heads)}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table></div>\n"
        f'<p class="note">{escape(MEANING)} All patients counted here were held out: no model was trained on them, '
        "and none was chosen by them. A clinic’s own model on its own patients is underlined.</p>\n"
        f"<p>{escape(at_home(results))}</p>"
    )


def _patients(results: Results, column: str) -> str:
    auc = results.row("best").aucs[column]
    return f"{auc.patients:,} patients"


def _row(row: Row, results: Results) -> str:
    cells = []
    for place, column in enumerate(results.columns):
        own = row.kind == "alone" and place < len(results.alone) and row is results.alone[place]
        cells.append(f"<td{' class=own' if own else ''}>{_cell(row.aucs[column])}</td>")
    return f'<tr class="{row.kind}"><td>{escape(row.name)}</td>{"".join(cells)}</tr>'


def _cell(auc: Auc) -> str:
    interval = "&nbsp;" if math.isnan(auc.low) else f"{number(auc.low)}–{number(auc.high)}"
    return f"<b>{number(auc.value)}</b><small>{interval}</small>"


def _pictures(results: Results) -> str:
    curve = learning(results.curve, [clinic.site for clinic in results.clinics], results.run.best_version)
    parts = [
        "<h2>On the patients of all clinics</h2>",
        f"<figure>{intervals(results.rows)}<figcaption>AUC on all held-out patients with its 95 % interval."
        "</figcaption></figure>",
    ]
    if curve:
        parts += [
            "<h2>How the model learned</h2>",
            f"<figure>{curve}<figcaption>{_learned(results)}</figcaption></figure>",
        ]
    return "\n".join(parts)


def _learned(results: Results) -> str:
    untrained = number(results.curve[0].mean)
    return (
        "AUC of the common model on each clinic’s validation patients, round after round; the strong line is the "
        f"mean, weighted by patients. Before the first round, untrained, it is {untrained}. The ring marks the best "
        "model by this mean. Validation patients train nothing and are not among those of the table."
    )


def _facts(results: Results) -> str:
    run = results.run
    started = datetime.fromtimestamp(run.started, UTC)
    chosen = (
        "none" if run.best_version is None else f"the one that had trained {run.best_version} of {run.rounds} rounds"
    )
    facts = [
        ("Started", f"{started.day} {started:%B %Y, %H:%M:%S} UTC"),
        ("Took", f"{run.seconds:.1f} seconds for {run.rounds} rounds"),
        ("Seed", run.seed),
        ("Best model", chosen),
        ("Versions", ", ".join(f"{name} {version}" for name, version in results.versions.items())),
    ]
    rows = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts]
    digests = (("Last model’s digest", run.last_digest), ("Best model’s digest", run.best_digest))
    rows += [f"<dt>{name}</dt><dd><code>{escape(digest)}</code></dd>" for name, digest in digests if digest]
    rows += [f"<dt>Happened</dt><dd>{escape(note)}</dd>" for note in run.notes]
    return f"<h2>What was run</h2>\n{_shares(results.clinics)}\n<dl>{''.join(rows)}</dl>"


def _shares(clinics: Iterable[Clinic]) -> str:
    heads = ("Clinic", "Patients", "Training", "Validation", "Test", "With a finding")
    lines = []
    for clinic in clinics:
        patients = clinic.train + clinic.validation + clinic.test
        cells = [
            clinic.site,
            patients,
            clinic.train,
            clinic.validation,
            clinic.test,
            f"{clinic.findings / patients:.0%}",
        ]
        cells = [cell if isinstance(cell, str) else f"{cell:,}" for cell in cells]
        lines.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{text}</th>" for text in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
