"""Start-up kits in memory, made by the real authority."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rondo.pki.authority import Authority, make_authority
from rondo.pki.certificates import Role
from rondo.pki.kit import CONFIG, STEM, Kit, open_kit
from rondo.pki.manifest import FORMAT, Manifest, digests, seal

NOW = 1_800_000_000.0
DAY = 86400.0


@dataclass(frozen=True)
class Wanted:
    """What a kit should be; ``changes`` go into its configuration file's top."""

    role: Role = Role.CLIENT
    name: str = "site"
    org: str = "org1"
    changes: dict[str, Any] = field(default_factory=dict)
    more: dict[str, bytes] = field(default_factory=dict)
    days: float = 30


def authority(project: str = "study") -> Authority:
    return make_authority(project, NOW)


def kit_files(root: Authority, wanted: Wanted, now: float = NOW) -> dict[str, bytes]:
    issued = root.issue(wanted.role, wanted.name, wanted.org, now, wanted.days)
    stem = STEM[wanted.role]
    project = root.certificate.name
    config = {
        "format_version": 1,
        "servers": [{"name": project, "service": {"target": "fl.example.org:8002"}}],
        **wanted.changes,
    }
    files = {
        "rootCA.pem": root.certificate.pem,
        f"{stem}.crt": issued.cert_pem,
        f"{stem}.key": issued.key_pem,
        CONFIG[wanted.role]: json.dumps(config).encode(),
        **wanted.more,
    }
    return {**files, **seal(manifest(root, wanted, files), root)}


def manifest(root: Authority, wanted: Wanted, files: dict[str, bytes]) -> Manifest:
    return Manifest(
        format=FORMAT,
        project=root.certificate.name,
        role=wanted.role,
        name=wanted.name,
        org=wanted.org,
        created="2027-01-15 08:00:00 UTC",
        files=digests(files),
    )


def kit(root: Authority, wanted: Wanted, folder: Path = Path("ws/startup")) -> Kit:
    return open_kit(kit_files(root, wanted), folder)
