"""Which events are told in the audit log as well, and in what words: runs, contributions, who was not invited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rondo.base.chain import Entry, entry

Data = Mapping[str, Any]
_Told = tuple[str, str, str]  # user, action, message


def _ended(how: str) -> Callable[[int, Data], _Told]:
    def told(run: int, data: Data) -> _Told:
        why = f": {data.get('site') or 'server'}: {data['error']}" if data.get("error") else ""
        return str(data.get("by") or "server"), "run_ended", f"run {run} {how}{why}"

    return told


def _submitted(run: int, data: Data) -> _Told:
    return str(data.get("by")), "run_submitted", f"run {run}: {data.get('job')}, run_{data.get('number')}"


def _accepted(run: int, data: Data) -> _Told:
    file = f", {data.get('size')} bytes {data['digest']}" if data.get("digest") else ""
    about = f"run {run} round {data.get('round')}: {data.get('task')}, {data.get('samples', 0):g} samples{file}"
    return str(data.get("client")), "update_accepted", about


def _of_client(action: str) -> Callable[[int, Data], _Told]:
    def told(run: int, data: Data) -> _Told:
        where = f"run {run} round {data['round']}" if data.get("round", -1) >= 0 else f"run {run}"
        why = data.get("reason") or data.get("error")
        return str(data.get("client")), action, f"{where}: {why}" if why else where

    return told


_TOLD: dict[str, Callable[[int, Data], _Told]] = {
    "run_submitted": _submitted,
    "run_running": lambda run, data: ("server", "run_started", f"run {run}"),
    "run_finished": _ended("finished"),
    "run_failed": _ended("failed"),
    "run_aborted": _ended("aborted"),
    "update_accepted": _accepted,
    "local_model_accepted": _accepted,
    "validation_accepted": _accepted,
    "update_refused": _of_client("update_refused"),
    "task_failed": _of_client("task_failed"),
    "client_not_invited": _of_client("not_invited"),
    "client_prepared": _of_client("prepared"),
    "client_failed": _of_client("prepare_failed"),
    "client_stopped": _of_client("stopped"),
}


def told_of(at: float, run: int, kind: str, data: Data) -> Entry | None:
    """The entry for this event; None for one that no audit needs."""
    told = _TOLD.get(kind)
    if told is None:
        return None
    user, action, message = told(run, data)
    return entry(at, user, action, message, ref=str(data.get("event") or ""))
