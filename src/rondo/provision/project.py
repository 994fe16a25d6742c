"""``project.yml``: Clara 4.0's form, and NVFlare 1.0's spellings of the same things (spec 2.2).

``read_project`` checks every key and every name before any certificate is made.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rondo.base.errors import BadInput
from rondo.base.options import Options, decode
from rondo.pki.authority import LEAF_DAYS, check_name
from rondo.pki.certificates import Role
from rondo.provision.yamlfile import read_yaml

_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Folder = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=64)]
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
# Words that the console and the policy use for the server, or for every client.
_RESERVED = ("server", "client", "all")


class ServerPart(Options, frozen=True, kw_only=True):
    """``server:``; ``cn`` is its name, its certificate's name and the host that everybody dials."""

    org: str
    cn: str
    fed_learn_port: _Port = 8002
    admin_port: _Port | None = None
    admin_storage: _Folder = "transfer"
    min_num_clients: _Count = 1
    max_num_clients: _Count = 100
    auth: bool | None = None
    config_validator: Any = None


class ClientPart(Options, frozen=True, kw_only=True):
    """One of ``fl_clients:``; 1.0 says ``site`` for ``client_name``."""

    org: str
    client_name: str | None = None
    site: str | None = None
    email: str | None = None


class AdminPart(Options, frozen=True, kw_only=True):
    """One of ``admin_clients:``; ``roles`` is 1.0's."""

    org: str
    email: str
    roles: tuple[str, ...] = ()


class RondoPart(Options, frozen=True, kw_only=True):
    """``rondo:``, our own additions. ``retry_timeout``: seconds a client keeps trying (absent: for ever);
    ``heart_beat_timeout``: seconds of silence after which the server removes a client (Clara's default);
    ``valid_days``: how long certificates of participants are valid."""

    retry_timeout: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] | None = None
    heart_beat_timeout: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)] = 600
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = LEAF_DAYS


class HePart(Options, frozen=True, kw_only=True):
    """``he.config`` or 1.0's ``he_config``."""

    lib: str = "tenseal"
    poly_modulus_degree: _Count = 8192
    coeff_mod_bit_sizes: tuple[_Count, ...] = (60, 40, 40)
    scale_bits: _Count = 40
    scheme: str = "CKKS"


class _Top(Options, frozen=True, kw_only=True):
    name: str
    config_folder: _Folder = "config"
    api_version: int | None = None
    he: dict[str, Any] | None = None
    he_config: dict[str, Any] | None = None
    server: dict[str, Any]
    fl_clients: tuple[dict[str, Any], ...] = ()
    admin_clients: tuple[dict[str, Any], ...] = ()
    authz_policy: dict[str, Any] | None = None
    disable_authz: bool | None = None
    rondo: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Participant:
    """One who gets a kit. ``roles``: an admin's, where the project file names them."""

    role: Role
    name: str
    org: str
    roles: tuple[str, ...] = ()

    @property
    def zip_name(self) -> str:
        return "server.zip" if self.role == Role.SERVER else f"{self.name}.zip"


@dataclass(frozen=True)
class Project:
    """A checked project. ``authorization``: whether the server asks a policy what an admin may do;
    ``policy``: 1.0's authz_policy, where the file has it. ``notes``: what people should know about the file."""

    where: str
    name: str
    config_folder: str
    server: ServerPart
    participants: tuple[Participant, ...]
    rondo: RondoPart
    authorization: bool
    policy: Mapping[str, Any] | None
    notes: tuple[str, ...]

    @property
    def admin_port(self) -> int:
        return self.server.admin_port or self.server.fed_learn_port

    def participant(self, name: str) -> Participant | None:
        """The participant of that name; ``server`` is short for the server's."""
        for one in self.participants:
            if one.name == name or (name == "server" and one.role == Role.SERVER):
                return one
        return None


def read_project(path: Path) -> Project:
    """The project in the YAML file ``path``. Raises ``BadInput`` that names file and key."""
    return make_project(read_yaml(path), str(path))


def make_project(value: Mapping[str, Any], where: str) -> Project:
    """As ``read_project``, for a mapping already read."""
    _check_form(value, where)
    top = decode(_Top, value, where)
    check_project_name(top.name, f"{where}: name")
    server = decode(ServerPart, top.server, f"{where}: server")
    check_host(server.cn, f"{where}: server.cn")
    he = _he(top, where)
    participants = (
        Participant(Role.SERVER, server.cn, server.org),
        *(_client(part, f"{where}: fl_clients[{i}]") for i, part in enumerate(top.fl_clients)),
        *(_admin(part, f"{where}: admin_clients[{i}]") for i, part in enumerate(top.admin_clients)),
    )
    _check_participants(participants, where)
    return Project(
        where=where,
        name=top.name,
        config_folder=top.config_folder,
        server=server,
        participants=participants,
        rondo=decode(RondoPart, top.rondo, f"{where}: rondo"),
        authorization=_authorization(top, server, where),
        policy=top.authz_policy,
        notes=tuple(_notes(server, participants, he)),
    )


def _check_form(value: Mapping[str, Any], where: str) -> None:
    version = value.get("api_version")
    if version == 2 or "participants" in value or "builders" in value:
        raise BadInput(
            "this is a project file of NVFlare 2.0 (participants, builders), which Rondo does not read",
            where=where,
            hint="write server:, fl_clients: and admin_clients: as in Clara 4.0: the server's name becomes "
            "server.cn, each client becomes {org, client_name}, each admin {org, email}",
        )
    if version not in (None, 1):
        raise BadInput(f"api_version is {version!r}", where=where, hint="leave it out, or 1")


def check_project_name(name: str, where: str) -> None:
    """Raise ``BadInput`` unless ``name`` can name a project."""
    check_name(name, where)


def check_host(name: str, where: str) -> None:
    """Raise ``BadInput`` unless ``name`` is a fully qualified domain name or ``localhost``."""
    check_name(name, where)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        raise BadInput(f"{name} is an IP address", where=where, hint="use a name that every participant resolves")
    labels = name.split(".")
    qualified = len(labels) > 1 and all(map(_LABEL.match, labels)) and not labels[-1].isdigit()
    if name != "localhost" and not qualified:
        raise BadInput(
            f"{name!r} is not a fully qualified domain name", where=where, hint="such as fl.hospital.org, or localhost"
        )


def _client(part: Mapping[str, Any], where: str) -> Participant:
    client = decode(ClientPart, part, where)
    if (client.client_name is None) == (client.site is None):
        raise BadInput("exactly one of client_name and site (1.0) names a client", where=where)
    key, name = ("client_name", client.client_name) if client.client_name is not None else ("site", client.site)
    check_name(name or "", f"{where}.{key}")
    return Participant(Role.CLIENT, name or "", client.org)


def _admin(part: Mapping[str, Any], where: str) -> Participant:
    admin = decode(AdminPart, part, where)
    check_name(admin.email, f"{where}.email")
    user, _, host = admin.email.partition("@")
    if not user or not host or "@" in host:
        raise BadInput(f"{admin.email!r} is not an e-mail address", where=f"{where}.email")
    return Participant(Role.ADMIN, admin.email, admin.org, admin.roles)


def _check_participants(participants: tuple[Participant, ...], where: str) -> None:
    seen: dict[str, str] = {}
    for one in participants:
        if not one.org.strip() or not one.org.isprintable() or len(one.org.encode()) > 64:
            raise BadInput(f"org {one.org!r} of {one.name!r} must be a line of 1 to 64 bytes", where=where)
        # Names become files and console words: two that differ only in case would meet on some disks.
        folded = one.name.casefold()
        if folded in _RESERVED:
            raise BadInput(f"{one.name!r} is a word of the console, not a name", where=where)
        if folded in seen:
            raise BadInput(f"{one.name!r} and {seen[folded]!r} are the same name", where=where, hint="names are unique")
        seen[folded] = one.name


def _authorization(top: _Top, server: ServerPart, where: str) -> bool:
    if server.auth is not None and top.disable_authz is not None and server.auth == top.disable_authz:
        raise BadInput(f"server.auth is {server.auth} and disable_authz is {top.disable_authz}", where=where)
    if server.auth is not None:
        return server.auth
    return not top.disable_authz


def _he(top: _Top, where: str) -> HePart | None:
    if top.he is not None and top.he_config is not None:
        raise BadInput("he and he_config (1.0) mean the same", where=where, hint="keep one of them")
    if top.he_config is not None:
        return decode(HePart, top.he_config, f"{where}: he_config")
    if top.he is None:
        return None
    config = top.he.get("config", {})
    if not isinstance(config, dict):
        raise BadInput("expected a table", where=f"{where}: he.config")
    rest = {key: value for key, value in top.he.items() if key != "config"}
    return decode(HePart, {**rest, **config}, f"{where}: he")


def _notes(server: ServerPart, participants: tuple[Participant, ...], he: HePart | None) -> list[str]:
    notes = []
    if server.admin_port in (None, server.fed_learn_port):
        notes.append(f"one port, {server.fed_learn_port}, carries clients and admins")
    else:
        notes.append(f"port {server.fed_learn_port} for clients, port {server.admin_port} for admins as well")
    if server.cn == "example.com":
        notes.append("server.cn is still the placeholder example.com")
    if server.config_validator is not None:
        notes.append("server.config_validator is ignored: Rondo validates jobs itself")
    if he is not None:
        notes.append("he: no keys are made, homomorphic encryption is not available in this version")
    names = {one.name for one in participants if one.role == Role.CLIENT}
    for name in sorted(names):
        stem, _, number = name.rpartition("_")
        if number.isdigit() and stem in names:
            notes.append(f"client {name!r} looks like the instance number {number} of client {stem!r}")
    return notes
