"""A start-up kit as a value: opened only if its signature, files, certificate, key and configuration agree.

Nothing here looks at the clock: whether the certificate is in date is asked with ``check_expiry``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rondo.base.errors import BadInput, Refused
from rondo.pki.certificates import (
    Certificate,
    Role,
    check_dates,
    check_issued,
    check_pair,
    parse_authority,
    parse_certificate,
)
from rondo.pki.manifest import Manifest, check_files, read_manifest

ROOT = "rootCA.pem"
POLICY = "authorization.json"
STEM = {Role.SERVER: "server", Role.CLIENT: "client", Role.ADMIN: "client"}
CONFIG = {Role.SERVER: "fed_server.json", Role.CLIENT: "fed_client.json", Role.ADMIN: "fed_admin.json"}

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the kit's configuration says beside addresses. Seconds; ``retry_timeout`` None: patience without end."""

    min_num_clients: Annotated[int, msgspec.Meta(ge=1)] = 1
    max_num_clients: Annotated[int, msgspec.Meta(ge=1)] = 100
    heart_beat_timeout: _Positive = 600.0
    retry_timeout: _Positive | None = None
    admin_storage: str = "transfer"
    config_folder: str = "config"


@dataclass(frozen=True)
class Kit:
    """An opened kit.

    ``folder`` is the startup folder, ``workspace`` its parent. ``host``, ``port``, ``admin_port``: where the
    server is (both ports are the same number where one carries everything). ``policy``: the verified bytes of
    authorization.json, None where the project was provisioned without authorization. ``files``: the names and
    SHA-256 that the authority signed. ``unneeded``: the options of ``service.options``, which are read and not used.
    """

    role: Role
    project: str
    name: str
    org: str
    folder: Path
    workspace: Path
    host: str
    port: int
    admin_port: int
    ca_pem: bytes
    cert_pem: bytes
    key_pem: bytes = field(repr=False)
    settings: Settings
    policy: bytes | None = field(repr=False)
    manifest: Manifest = field(repr=False)
    unneeded: tuple[str, ...] = ()

    @property
    def certificate(self) -> Certificate:
        return parse_certificate(self.cert_pem, f"{STEM[self.role]}.crt")

    @property
    def authority(self) -> Certificate:
        return parse_authority(self.ca_pem, ROOT)


# The shapes of fed_server.json, fed_client.json and fed_admin.json. Keys not named here are let be: the file is
# signed, and a kit of a later version must stay readable.
class _Endpoint(msgspec.Struct):
    target: str
    options: list[tuple[str, Any]] = msgspec.field(default_factory=list)  # of gRPC, as Clara had them


class _Server(msgspec.Struct):
    name: str
    service: _Endpoint
    admin_host: str = ""
    admin_port: _Port | None = None
    min_num_clients: int = 1
    max_num_clients: int = 100
    heart_beat_timeout: float = 600.0
    admin_storage: str = "transfer"


class _Client(msgspec.Struct):
    retry_timeout: float | None = None


class _Config(msgspec.Struct):
    format_version: int
    servers: Annotated[list[_Server], msgspec.Meta(min_length=1)]
    client: _Client = msgspec.field(default_factory=_Client)
    config_folder: str = "config"


def open_kit(files: Mapping[str, bytes], folder: Path) -> Kit:
    """The kit whose startup folder ``folder`` holds ``files`` (name -> content).

    Raises ``BadInput`` where a file is missing or malformed, ``Refused`` where the signature does not hold, a
    listed file was changed, or the certificate does not belong to the kit's authority, name, role and key.
    """
    if ROOT not in files:
        raise BadInput(f"the start-up kit has no {ROOT}", where=str(folder), hint="open the kit's zip file again")
    authority = parse_authority(files[ROOT], ROOT)
    manifest = read_manifest(files, authority)
    check_files(manifest, files)
    stem = STEM[manifest.role]
    _check_listed(manifest, (ROOT, f"{stem}.crt", f"{stem}.key", CONFIG[manifest.role]))
    certificate = parse_certificate(files[f"{stem}.crt"], f"{stem}.crt")
    _check_certificate(certificate, authority, manifest)
    check_pair(certificate, files[f"{stem}.key"], f"{stem}.key")
    return _assemble(files, folder, manifest)


def check_expiry(kit: Kit, now: float) -> None:
    """Raise ``Refused`` that names the certificate and the date where the kit is not valid at ``now`` (epoch)."""
    check_dates(kit.authority, now, ROOT)
    check_dates(kit.certificate, now, f"{STEM[kit.role]}.crt")


def _check_listed(manifest: Manifest, needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in manifest.files:
            raise BadInput(f"the kit's manifest does not list {name}", where="kit.json")


def _check_certificate(certificate: Certificate, authority: Certificate, manifest: Manifest) -> None:
    where = f"{STEM[manifest.role]}.crt"
    check_issued(certificate, authority, where)
    if certificate.name != manifest.name:
        raise Refused(f"the certificate is for {certificate.name!r}, the kit for {manifest.name!r}", where=where)
    usage = "server" if manifest.role == Role.SERVER else "client"
    if certificate.unit != manifest.role or usage not in certificate.usages:
        raise Refused(f"the certificate is not one for role {manifest.role}", where=where)


def _assemble(files: Mapping[str, bytes], folder: Path, manifest: Manifest) -> Kit:
    where = CONFIG[manifest.role]
    config = _config(files[where], where)
    server = config.servers[0]
    if server.name != manifest.project:
        raise BadInput(f"the project is {server.name!r} here and {manifest.project!r} in kit.json", where=where)
    host, port = _target(server.service.target, f"{where}: servers[0].service.target")
    stem = STEM[manifest.role]
    settings = {
        "min_num_clients": server.min_num_clients,
        "max_num_clients": server.max_num_clients,
        "heart_beat_timeout": server.heart_beat_timeout,
        "retry_timeout": config.client.retry_timeout,
        "admin_storage": server.admin_storage,
        "config_folder": config.config_folder,
    }
    try:
        checked = msgspec.convert(settings, Settings)
    except msgspec.ValidationError as error:
        raise BadInput(str(error), where=where) from None
    return Kit(
        role=manifest.role,
        project=manifest.project,
        name=manifest.name,
        org=manifest.org,
        folder=folder,
        workspace=folder.parent,
        host=host,
        port=port,
        admin_port=server.admin_port or port,
        ca_pem=files[ROOT],
        cert_pem=files[f"{stem}.crt"],
        key_pem=files[f"{stem}.key"],
        settings=checked,
        policy=files[POLICY] if POLICY in manifest.files else None,
        manifest=manifest,
        unneeded=tuple(name for name, _ in server.service.options),
    )


def _config(data: bytes, where: str) -> _Config:
    try:
        config = msgspec.json.decode(data, type=_Config)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", where=where) from None
    if config.format_version != 1:
        raise BadInput(f"format_version is {config.format_version}, must be 1", where=where)
    return config


def _target(target: str, where: str) -> tuple[str, int]:
    host, colon, port = target.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(f"{target!r} is not HOST:PORT", where=where)
    return host, int(port)
