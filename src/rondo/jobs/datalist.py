"""Data lists of an MMAR (Decathlon's form): which files they name, and the labels that classification needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs._mmar_files import ENVIRONMENT, TRAIN, Mmar
from rondo.jobs.placed import Document, Placed, read_placed

MOST_BYTES = 32 << 20
MOST_MISSING = 20

_FILES = ("image", "label", "mask")


def check_label_format(mmar: Mmar) -> None:
    """Where the task is classification, DATASET_JSON must name a list with a sound ``label_format`` (spec 8.9).

    Raises ``BadInput`` naming the key. A list outside of the MMAR is looked at where it is there.
    """
    if mmar.setting("PROCESSING_TASK") != "classification":
        return
    named = mmar.setting("DATASET_JSON")
    if not named:
        hint = "the server sizes the network by the label_format of that list"
        where = mmar.place(ENVIRONMENT)
        raise BadInput("DATASET_JSON is missing, which classification needs", where=where, hint=hint)
    where, path = mmar.place(ENVIRONMENT, "DATASET_JSON"), mmar.folder / named
    if not path.is_file():
        if not os.path.isabs(named):
            raise BadInput(f"DATASET_JSON names {named!r}, which is not in the MMAR", where=where)
        mmar.findings.warn(f"DATASET_JSON names {named!r}, which is not on this machine", where)
        return
    _see_labels(read_placed(path, named, MOST_BYTES).root)


def _see_labels(root: Placed) -> None:
    formats = root.get("label_format")
    if formats is None:
        hint = 'one number for each label field: 1 for yes or no, as in "label_format": [1, 1]'
        raise BadInput("label_format is missing, which classification needs", where=str(root.place), hint=hint)
    for one in formats.items:
        if isinstance(one.value, bool) or not isinstance(one.value, int) or one.value < 1:
            raise BadInput(f"label_format holds {one.value!r}: numbers from 1 on", where=str(one.place))
    for key, cases in root.table.items():
        if isinstance(cases.value, list) and key != "label_format":
            for case in cases.value:
                _see_label(case, len(formats.items))


def _see_label(case: Placed, fields: int) -> None:
    label = case.get("label")
    if label is not None and isinstance(label.value, list) and len(label.value) != fields:
        text = f"a label of {len(label.value)} where label_format has {fields}"
        raise BadInput(text, where=str(label.place), hint="label_format and every label have one entry a field")


def check_lists(mmar: Mmar) -> None:
    """Data lists that config_train.json names, and files that those name: what is missing is in the findings."""
    root = mmar.files.get(TRAIN)
    for section in ("train", "validate"):
        node = root.get(section) if root is not None else None
        dataset = node.get("dataset") if node is not None else None
        if dataset is not None:
            with mmar.findings.collecting():
                _check_list(mmar, dataset)


def _check_list(mmar: Mmar, dataset: Placed) -> None:
    made = mmar.reading(TRAIN).component(dataset)
    beside = dict(made.beside) if made is not None else {}
    listed, key = beside.get("data_list_file_path"), beside.get("data_list_key")
    node = dataset.get("data_list_file_path")
    if not isinstance(listed, str) or node is None:
        return
    path = mmar.folder / listed
    if not path.is_file():
        if path.is_relative_to(mmar.folder):
            raise BadInput(f"no data list {listed!r} in the MMAR", where=str(node.place))
        mmar.findings.warn(f"the data list {listed!r} is not on this machine: not looked at", node.place)
        return
    document = _read(mmar, path)
    cases = document.root.get(str(key)) if key else None
    if cases is None:
        where = dataset.get("data_list_key") or dataset
        raise BadInput(f"the data list has no {key!r}", where=str(where.place))
    _see_files(mmar, cases, Path(str(beside.get("data_file_base_dir") or path.parent)), node)


def _read(mmar: Mmar, path: Path) -> Document:
    name = str(path.relative_to(mmar.folder)) if path.is_relative_to(mmar.folder) else str(path)
    return read_placed(path, name, MOST_BYTES)


def _see_files(mmar: Mmar, cases: Placed, base: Path, node: Placed) -> None:
    base = mmar.folder / base
    if not base.is_dir():
        mmar.findings.warn(
            f"the data folder {str(base)!r} is not on this machine: cases are not looked for", node.place
        )
        return
    missing = 0
    for case in cases.items:
        for file in _named(case):
            if missing < MOST_MISSING and not (base / str(file.value)).exists():
                missing += 1
                mmar.findings.error(f"no file {file.value!r} in {base}", file.place)


def _named(case: Placed) -> list[Placed]:
    """The files that a case names: text, or lists of text."""
    found: list[Placed] = []
    for key in _FILES:
        node = case.get(key)
        items: list[Any] = node.value if node is not None and isinstance(node.value, list) else [node]
        found += [item for item in items if item is not None and isinstance(item.value, str)]
    return found
