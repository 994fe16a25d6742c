"""The form of Clara Train 4.0: an MMAR, a folder with config/, resources/ and perhaps custom/ and models/.

It becomes the same ``Job`` that a native job becomes: the persistor is the server's store of models, the aggregator
the weighted mean, the filters are the site's filters, and the trainer ``mmar`` makes of config_train.json what MONAI
trains. What is odd is survived with a warning that says what was done; what cannot be is an error at file, line and
column.
"""

from __future__ import annotations

import os
from pathlib import Path

from rondo.jobs._mmar_client import TRAINER, client_part, participates
from rondo.jobs._mmar_files import CLIENT, CUSTOM, ENVIRONMENT, LOG, SERVER, TRAIN, VALIDATION, Mmar, open_mmar
from rondo.jobs._mmar_filters import as_choice, known_as
from rondo.jobs._mmar_own import own_at_server, own_parts
from rondo.jobs._mmar_server import key_metric, model_part, server_name, server_part
from rondo.jobs.datalist import check_label_format, check_lists
from rondo.jobs.parts import Job

__all__ = [
    "CLIENT", "CUSTOM", "ENVIRONMENT", "MARKS", "SERVER", "TRAIN", "TRAINER", "Mmar", "as_choice",
    "brings_datalist", "check_label_format", "check_lists", "key_metric", "known_as", "look_at", "open_mmar",
    "own_at_server", "own_parts", "participates", "read_mmar",
]  # fmt: skip

MARKS = (SERVER, CLIENT, TRAIN)
"""Files by which an MMAR is known."""


def read_mmar(folder: Path) -> Job:
    """The job of the MMAR in ``folder``. Raises ``BadInput`` with the first thing that keeps it from running."""
    mmar = open_mmar(folder)
    job = look_at(mmar)
    mmar.findings.raise_first()
    assert job is not None  # else there was an error
    return job


def look_at(mmar: Mmar, strict: bool = False) -> Job | None:
    """The job, None where it cannot be had; all that is wrong or odd is in ``mmar.findings``.

    ``strict``: Clara's FAQ to the letter, which wants config_validation_ckpt.json whether it is used or not.
    """
    _see_files(mmar, strict)
    job = None
    with mmar.findings.collecting():
        if SERVER in mmar.files and CLIENT in mmar.files:
            client = client_part(mmar)
            server = server_part(mmar)
            job = Job(name=server_name(mmar), server=server, model=model_part(mmar), client=client)
    with mmar.findings.collecting():
        check_label_format(mmar)
    return job


def _see_files(mmar: Mmar, strict: bool) -> None:
    """What must be there when it is uploaded (spec 8.2)."""
    for name in (SERVER, CLIENT):
        if not os.path.lexists(mmar.folder / name):
            mmar.findings.error(f"{name} is missing", mmar.folder.name, "an MMAR for federated learning needs it")
    if not (mmar.folder / LOG).is_file():
        mmar.findings.warn(f"{LOG} is missing: log lines have Clara's usual form", mmar.folder.name)
    if ENVIRONMENT not in mmar.files:
        mmar.findings.warn(f"{ENVIRONMENT} is missing: there are no variables of it", mmar.folder.name)
    if strict and VALIDATION[0] not in mmar.files:
        mmar.findings.error(f"{VALIDATION[0]} is missing", mmar.folder.name, "strict: wanted whether it is used or not")
    elif participates(mmar) and not mmar.validation():
        mmar.findings.error(
            f"{VALIDATION[0]} (or {VALIDATION[1].rpartition('/')[2]}) is missing",
            mmar.folder.name,
            "the client takes part in cross-site validation, which runs it",
        )


def brings_datalist(folder: Path) -> bool:
    """Whether the MMAR brings its own list of cases: DATASET_JSON names a file in it."""
    named = open_mmar(folder).setting("DATASET_JSON")
    return bool(named) and not os.path.isabs(named) and (folder / named).is_file()
