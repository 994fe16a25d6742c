"""Data lists of an MMAR (Decathlon's form): which files they name, and the labels that classification needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs._mmar_files import ENVIRONMENT, TRAIN, Mmar
from rondo.jobs.placed import Placed, read_placed

MOST_BYTES = 32 << 20
MOST_MISSING = 20

_FILES = ("image", "label", "mask")


def check_label_format(mmar: Mmar, outside: bool = False) -> None:
    """Where the task is classification, DATASET_JSON must name a list with a sound ``label_format`` (spec 8.9).

    Raises ``BadInput`` naming the key. ``outside``: a list elsewhere on this machine is looked at, too.
    """
    if mmar.setting("PROCESSING_TASK") != "classification":
        return
    named = mmar.setting("DATASET_JSON")
    if not named:
        hint = "the server sizes the network by the label_format of that list"
        where = mmar.place(ENVIRONMENT)
        raise BadInput("DATASET_JSON is missing, which classification needs", where=where, hint=hint)
    where, path = mmar.place(ENVIRONMENT, "DATASET_JSON"), mmar.folder / named
    if os.path.isabs(named) and not outside:
        mmar.findings.warn(f"DATASET_JSON names {named!r}, outside of the MMAR: looked at where the run begins", where)
        return
    if not path.is_file():
        there = "on this machine" if os.path.isabs(named) else "in the MMAR"
        raise BadInput(f"DATASET_JSON names {named!r}, which is not {there}", where=where)
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


def check_lists(mmar: Mmar, outside: bool = False) -> None:
    """Data lists that config_train.json names, and files that those name: what is missing is in the findings.

    ``outside``: what lies elsewhere on this machine is looked at, too.
    """
    root = mmar.files.get(TRAIN)
    for section in ("train", "validate"):
        node = root.get(section) if root is not None else None
        dataset = node.get("dataset") if node is not None else None
        if dataset is not None:
            with mmar.findings.collecting():
                _check_list(mmar, dataset, outside)


def _check_list(mmar: Mmar, dataset: Placed, outside: bool) -> None:
    beside = mmar.reading(TRAIN).read(dataset).beside
    listed, key = beside.get("data_list_file_path"), beside.get("data_list_key")
    node = dataset.get("data_list_file_path")
    if not isinstance(listed, str) or node is None:
        return
    path = mmar.folder / listed
    if not _is_near(mmar, path, outside):
        mmar.findings.warn(f"the data list {listed!r} is not in the MMAR: not looked at", node.place)
        return
    if not path.is_file():
        raise BadInput(f"no data list {_shown(mmar, path)!r} in the MMAR", where=str(node.place))
    cases = read_placed(path, _shown(mmar, path), MOST_BYTES).root.get(str(key))
    if cases is None:
        where = dataset.get("data_list_key") or dataset
        raise BadInput(f"the data list has no {key!r}", where=str(where.place))
    base = mmar.folder / str(beside.get("data_file_base_dir") or path.parent)
    if not (_is_near(mmar, base, outside) and base.is_dir()):
        mmar.findings.warn(f"the data folder {_shown(mmar, base)!r} is not in the MMAR: not looked at", node.place)
        return
    missing = 0
    for file in _named(cases):
        if missing < MOST_MISSING and not (base / file.value).exists():
            missing += 1
            mmar.findings.error(f"no file {file.value!r} in {_shown(mmar, base)}", file.place)


def _is_near(mmar: Mmar, path: Path, outside: bool) -> bool:
    return path.is_relative_to(mmar.folder) or (outside and path.exists())


def _shown(mmar: Mmar, path: Path) -> str:
    return str(path.relative_to(mmar.folder)) if path.is_relative_to(mmar.folder) else str(path)


def _named(cases: Placed) -> Iterator[Placed]:
    """The files that cases name: text, or lists of text."""
    for case in cases.items:
        for key in _FILES:
            node = case.get(key)
            items: list[Any] = node.value if node is not None and isinstance(node.value, list) else [node]
            yield from (item for item in items if item is not None and isinstance(item.value, str))
