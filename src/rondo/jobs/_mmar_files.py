"""The files of an MMAR: which there are, what dialect they speak, and the variables they share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rondo.base.errors import BadInput
from rondo.jobs.components import Reading, Variables
from rondo.jobs.findings import Findings
from rondo.jobs.placed import Placed, read_placed

SERVER = "config/config_fed_server.json"
CLIENT = "config/config_fed_client.json"
TRAIN = "config/config_train.json"
VALIDATION = ("config/config_validation_ckpt.json", "config/config_validation.json")
ENVIRONMENT = "config/environment.json"
LOG = "resources/log.config"
CUSTOM = "custom"

ROOT = "MMAR_ROOT"
_PATHS = (
    "DATA_ROOT", "DATASET_JSON", "MMAR_EVAL_OUTPUT_PATH", "MMAR_CKPT_DIR", "MMAR_CKPT", "MMAR_TORCHSCRIPT",
    "PRETRAIN_WEIGHTS_FILE",
)  # fmt: skip
_TENSORFLOW = ("model_saver", "result_processors", "admin_cmd_modules", "pre_processors", "post_processors", "privacy")
_LATER = ("executors", "components", "workflows", "task_data_filters", "task_result_filters")


@dataclass(frozen=True)
class Mmar:
    """What could be read of the MMAR in ``folder``. ``given``: variables that win over the files' (``--set``)."""

    folder: Path
    files: Mapping[str, Placed]
    findings: Findings
    given: Mapping[str, Any] = field(default_factory=dict)

    def reading(self, name: str) -> Reading:
        """How the components of the file ``name`` are read."""
        own = {key: item.value for key, item in self._table(name).items() if not isinstance(item.value, dict | list)}
        variables = Variables(({ROOT: str(self.folder)}, own, self.environment(), self.given))
        return Reading(variables, self.findings, explicit=is_explicit(own.get("CLARA_TRAIN_VERSION")))

    def environment(self) -> dict[str, Any]:
        """environment.json, its relative paths made absolute: they are relative to the MMAR's root."""
        values = {key: item.plain() for key, item in self._table(ENVIRONMENT).items()}
        for key in _PATHS:
            if isinstance(values.get(key), str) and values[key] and not values[key].startswith("{"):
                values[key] = os.path.join(self.folder, values[key])
        return values

    def setting(self, key: str, default: str = "") -> str:
        """A text of environment.json, or what was given in its place, as it was written."""
        found = self._table(ENVIRONMENT).get(key)
        value = self.given.get(key, found.value if found is not None else default)
        return value if isinstance(value, str) else default

    def place(self, name: str, *keys: str) -> str:
        """Where in the file ``name`` the value under ``keys`` stands, as far as it is there."""
        node = self.files.get(name)
        if node is None:
            return name
        for key in keys:
            node = node.get(key) or node
        return str(node.place)

    def validation(self) -> str:
        """The validation config there is, the one for checkpoints first; "" for none."""
        return next((name for name in VALIDATION if name in self.files), "")

    def _table(self, name: str) -> Mapping[str, Placed]:
        node = self.files.get(name)
        return node.value if node is not None and isinstance(node.value, dict) else {}


def is_explicit(version: object) -> bool:
    """Whether a config of this CLARA_TRAIN_VERSION says itself what is wired to what (4.1)."""
    numbers = str(version or "0").split(".")
    return [int(part) if part.isdigit() else 0 for part in numbers[:2]] >= [4, 1]


def open_mmar(folder: Path, given: Mapping[str, Any] | None = None) -> Mmar:
    """Read every config file of the MMAR; what is wrong with one is in ``findings``.

    Raises ``BadInput`` where the MMAR is of Clara 3.1 or of NVFlare 2: its other faults mean nothing then.
    """
    findings, files = Findings(), {}
    for name in (SERVER, CLIENT, TRAIN, *VALIDATION, ENVIRONMENT):
        if not os.path.lexists(folder / name):
            continue
        with findings.collecting():
            document = read_placed(folder / name, name)
            document.root.table  # noqa: B018 - a file that is no table is an error
            files[name] = document.root
            for key, place in document.repeated:
                findings.warn(f"{key!r} is there twice: the last one counts", place)
    for name in (SERVER, CLIENT):
        if name in files:
            _see_dialect(files[name], name, findings)
    return Mmar(folder, files, findings, dict(given or {}))


def _see_dialect(root: Placed, name: str, findings: Findings) -> None:
    """Dialect B passes. Raises ``BadInput`` for A and C, saying what to do."""
    keys = set(root.table)
    for nested in ("client", "servers"):
        node = root.get(nested)
        if node is not None and isinstance(node.value, dict):
            keys |= set(node.value)
    version = root.get("format_version")
    if (version is not None and version.value == 2) or keys & set(_LATER):
        raise BadInput(
            "this is a configuration of NVFlare 2 (format_version 2), not of Clara 4.0",
            where=str(version.place if version else root.place),
            hint='write aggregator, persistor and shareable_generator, and client_trainer, with "format_version": 1; '
            "or bring the training script as a native job (job.toml)",
        )
    old = sorted(keys & set(_TENSORFLOW))
    if version is None and old:
        raise BadInput(
            f"this is an MMAR of Clara 3.1 (TensorFlow): {', '.join(old)}",
            where=str(root.place),
            hint="in Clara 4.0 pre_processors are outbound_filters, post_processors inbound_filters, privacy is a "
            "filter in outbound_filters, model_saver model_persistor; the network itself must be one of PyTorch",
        )
    if version is None:
        findings.warn("format_version is missing: read as 1", name)
    elif version.value != 1:
        findings.error(f"format_version must be 1, is {version.value!r}", version.place)
