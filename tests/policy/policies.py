"""The project's policy as the tests use it, and facts of packages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rondo.policy.authorization import load_authorization
from rondo.policy.policy import Policy

FILE = Path(__file__).with_name("project1auth.json")


@dataclass(frozen=True)
class Facts:
    byoc: bool = False
    custom_datalist: bool = False


PLAIN = Facts()


def project1() -> Policy:
    return load_authorization(FILE.read_bytes(), FILE.name)


def mapping() -> dict[str, Any]:
    """A fresh copy that a test may spoil."""
    loaded: dict[str, Any] = json.loads(FILE.read_bytes())
    return loaded
