"""Rows as the programs write them, for tests that look at the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rondo.ledger import models, rounds, runs
from rondo.ledger.asks import Ask
from rondo.ledger.ledger import Tx
from rondo.ledger.models import Model
from rondo.ledger.rounds import Contribution, Key
from rondo.ledger.runs import Package
from rondo.ledger.sessions import Session

JOB = Package("job", "blake3:" + "ab" * 32, 1000, "admin@x.org", 1.0)


def add_run(tx: Tx, state: str = "running", **values: Any) -> int:
    """A run of ``JOB`` in this state; returns its id."""
    about = {
        "number": 1, "name": "job", "state": state, "package": JOB.digest, "package_size": JOB.size, "by": JOB.by,
        "invites": "all", "created_at": 1.0, "start_round": 0, "num_rounds": 3, "min_clients": 1, "max_clients": 9,
        "seed": "s",
    }  # fmt: skip
    return runs.add(tx, about | values)


def add_round(tx: Tx, clients: str = "abc", number: int = 0) -> Key:
    """An open training round of a new run that these clients take part in."""
    run = add_run(tx)
    for client in clients:
        runs.invite(tx, run, client, JOB, 1.0)
    rounds.open_round(tx, (run, number, "train"), number, 2.0)
    return run, number, "train"


def contribution(key: Key, client: str, **values: Any) -> Contribution:
    """What ``client`` sends for the round."""
    plain = Contribution(
        *key, client, "blake3:" + "cd" * 32, 100, "diff", samples=10.0, steps=5.0, metrics={"auc": 0.5},
        local_metrics={"auc": 0.75}, omitted=["head.w"], seconds=1.5, at=3.0,
    )  # fmt: skip
    return replace(plain, **values)


def add_model(tx: Tx, run: int, version: int, digest: str, sent: str = "") -> None:
    models.add(tx, Model(run, version, digest, 10, True, {}, {}, 1.0, sent))


def ask(name: str, client: str = "a", at: float = 1.0) -> Ask:
    return Ask(name, client, "deploy", ["1", "job"], "admin@x.org", "pending", None, at)


def session(token: str, instance: str = "site", **values: Any) -> Session:
    plain = Session(token, instance, "site", "client", "ff" * 32, "10.0.0.1", "0.1.0", "here", "", 1.0, 1.0, "")
    return replace(plain, **values)
