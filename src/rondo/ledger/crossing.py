"""Cross-site validation as rows: the models under test, and what every site made of each, or why it did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, or_, select

from rondo.ledger import rounds, runs
from rondo.ledger import sessions as session_rows
from rondo.ledger.ledger import Tx
from rondo.ledger.prepared import Prepared
from rondo.ledger.rounds import Contribution, Key
from rondo.ledger.runs import Participant, Run
from rondo.ledger.tables import cross_models
from rondo.rounds.crossing import CROSSES, Crossed
from rondo.rounds.orders import failure

MISSING = -1  # as its round: there is no such model


@dataclass(frozen=True)
class CrossModel:
    """A model under test, of a client or a global one. Two with the same file are validated in one round."""

    run: int
    place: int
    name: str
    round: int
    digest: str = ""
    size: int = 0
    sent: str = ""
    sent_size: int = 0
    missing: str = ""


@dataclass(frozen=True)
class Entry:
    """What the data of ``site`` say of ``model``. ``metrics`` None: it is empty, and ``why`` says for what reason."""

    site: str
    model: str
    samples: float = 0.0
    metrics: Mapping[str, float] | None = None
    why: str = ""


_OF_RUN = Prepared(select(cross_models).where(cross_models.c.run == bindparam("run")).order_by(cross_models.c.place))
_OF_ROUND = Prepared(
    select(cross_models)
    .where(cross_models.c.run == bindparam("run"), cross_models.c.round == bindparam("round"))
    .order_by(cross_models.c.place)
)


def put(tx: Tx, models: Sequence[CrossModel]) -> None:
    """The models under test, once and for all."""
    for model in models:
        tx.execute(insert(cross_models).values(**model.__dict__))


def of_run(tx: Tx, run: int) -> list[CrossModel]:
    return [CrossModel(*row) for row in _OF_RUN.rows(tx, run=run)]


def of_round(tx: Tx, run: int, round_number: int) -> list[CrossModel]:
    """The models that this round validates: one file, with one or more names."""
    return [CrossModel(*row) for row in _OF_ROUND.rows(tx, run=run, round=round_number)]


def under_test(tx: Tx, run: int, digest: str) -> bool:
    """Whether clients of ``run`` get a file of this digest to validate it."""
    where = (cross_models.c.run == run, cross_models.c.sent == digest)
    return tx.execute(select(cross_models.c.place).where(*where)).first() is not None


def files(tx: Tx, run: int) -> set[str]:
    """The digests of all files of models under test in ``run``."""
    where = (cross_models.c.run == run, or_(cross_models.c.digest != "", cross_models.c.sent != ""))
    rows = tx.execute(select(cross_models.c.digest, cross_models.c.sent).where(*where))
    return {digest for row in rows for digest in row if digest}


def how_far(tx: Tx, run: int) -> Crossed:
    """Where the cross-site validation of ``run`` is."""
    models = of_run(tx, run)
    numbers = sorted({model.round for model in models} - {MISSING})
    found = [(number, rounds.get(tx, (run, number, "cross"))) for number in numbers]
    done = [number for number, row in found if row is not None and row.state == "committed"]
    some = any(part.cross and part.state in CROSSES for part in runs.taking_part(tx, run))
    return Crossed(some, bool(models), numbers, done)


def excuse(tx: Tx, key: Key, seconds: float, now: float) -> None:
    """At the end of a round: whoever was asked and has not answered sits it out, for a reason that can be shown."""
    answered, here = rounds.answered(tx, key), session_rows.names(tx)
    for part in runs.taking_part(tx, key[0]):
        if part.cross and part.client not in answered:
            what = "did not send its model" if key[2] == "collect" else "did not answer"
            why = f"{what} within {seconds:g} s"
            if part.state == "stopped":
                why = "its cross-site validation was aborted"
            elif part.client not in here:
                why = f"{what}: it has left"
            rounds.decline(tx, key, part.client, failure(why, site=part.client, round_number=key[1]), now)


def absence(part: Participant) -> str:
    """Why this participant takes no part; "" where it does."""
    if part.cross:
        return ""
    return part.no_cross or str((part.reason or {}).get("error") or "does not take part in cross-site validation")


def entries(tx: Tx, run: Run) -> list[Entry]:
    """The whole matrix, by site and model; empty where nothing was validated."""
    models = of_run(tx, run.id)
    answers: dict[int, dict[str, Contribution]] = {}
    declines: dict[int, Mapping[str, Mapping[str, object]]] = {}
    for number in {model.round for model in models} - {MISSING}:
        key = (run.id, number, "cross")
        answers[number] = {one.client: one for one in rounds.accepted(tx, key)}
        declines[number] = rounds.declined(tx, key)
    matrix = []
    for part in runs.taking_part(tx, run.id) if models else ():
        for model in models:
            answer = answers.get(model.round, {}).get(part.client)
            if answer is not None:
                matrix.append(Entry(part.client, model.name, answer.samples, answer.metrics))
                continue
            refused = declines.get(model.round, {}).get(part.client, {}).get("error", "")
            why = absence(part) or model.missing or str(refused) or "not validated yet"
            if why == "not validated yet" and run.state not in runs.OPEN:
                why = f"the run was {run.state} before"
            matrix.append(Entry(part.client, model.name, why=why))
    return matrix
