"""Project files, provisioning runs and opened kits for tests."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rondo.pki.kit import Kit
from rondo.provision.issue import Made, Order, Outcome, provision
from rondo.provision.project import make_project
from rondo.provision.unpack import open_zip

NOW = 1_800_000_000.0
DAY = 86400.0

PROJECT: dict[str, Any] = {
    "name": "Project1",
    "config_folder": "config",
    "server": {
        "org": "nvidia",
        "cn": "fl.example.org",
        "fed_learn_port": 8002,
        "admin_port": 8003,
        "admin_storage": "transfer",
        "min_num_clients": 2,
        "max_num_clients": 100,
        "auth": False,
    },
    "fl_clients": [{"org": "org1", "client_name": "client1"}, {"org": "org2", "client_name": "client2"}],
    "admin_clients": [{"org": "org1", "email": "lead@org1.com"}],
}

AUTHZ: dict[str, Any] = {
    "version": "1.0",
    "roles": {"super": "everything", "site_it": "one site"},
    "groups": {
        "general": {
            "desc": "all",
            "rules": {"allow_byoc": True},
            "role_rights": {"site_it": {"operate_self": True}},
        }
    },
    "users": {"lead@org1.com": {"org": "org1", "roles": ["super"]}},
    "orgs": {"nvidia": ["general"], "org1": ["general"], "org2": ["general"]},
    "sites": {"server": "nvidia", "client1": "org1", "client2": "org2"},
}


def project(**changes: Any) -> dict[str, Any]:
    """The project of the tests; ``server__auth=True`` changes a key of ``server``, None removes a key."""
    value = copy.deepcopy(PROJECT)
    for key, new in changes.items():
        *parents, last = key.split("__")
        table = value
        for parent in parents:
            table = table[parent]
        if new is None:
            table.pop(last, None)
        else:
            table[last] = new
    return value


def with_client(name: str, org: str = "org3") -> dict[str, Any]:
    return project(fl_clients=[*PROJECT["fl_clients"], {"org": org, "client_name": name}])


def order(folder: Path, value: Mapping[str, Any] | None = None, **more: Any) -> Order:
    return Order(
        project=make_project(value or PROJECT, "project.yml"),
        out=more.pop("out", folder / "kits"),
        state=folder / "state",
        **more,
    )


def run(folder: Path, value: Mapping[str, Any] | None = None, now: float = NOW, **more: Any) -> Outcome:
    return provision(order(folder, value, **more), now)


def made(outcome: Outcome, name: str) -> Made:
    return next(one for one in outcome.made if one.participant.name == name)


def opened(outcome: Outcome, name: str, workspace: Path) -> Kit:
    """The kit of ``name``, unpacked with its password into ``workspace``."""
    one = made(outcome, name)
    return open_zip(one.path, workspace, one.password)
