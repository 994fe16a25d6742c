"""The files of one kit (spec 2.6), in memory: configuration, scripts, certificates, manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rondo.pki.authority import Authority, Issued
from rondo.pki.certificates import Role, day, moment
from rondo.pki.kit import CONFIG, POLICY, ROOT, STEM
from rondo.pki.manifest import FORMAT, Manifest, digests, seal
from rondo.policy.site import EXAMPLE, FILE
from rondo.provision.project import Participant, Project
from rondo.provision.scripts import DEFAULT_IMAGE, scripts

_MESSAGE_BYTES = 2147483647

LOG_CONFIG = """[loggers]
keys=root

[handlers]
keys=consoleHandler

[formatters]
keys=fullFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[handler_consoleHandler]
class=StreamHandler
level=DEBUG
formatter=fullFormatter
args=(sys.stdout,)

[formatter_fullFormatter]
format=%(asctime)s - %(name)s - %(levelname)s - %(message)s
"""

_README = """Start-up kit of {role} {name} ({org})
Project {project}, made on {created}. The certificate is valid until {until}.

Keep the name of this folder, startup: the folder that contains it is the workspace, and must be writable.
Keep {stem}.key to yourself. Every file here is signed (kit.json, kit.sig): a changed file is refused.

{how}

    rondo doctor WORKSPACE     says what is wrong if it does not connect
"""

_HOW = {
    Role.SERVER: """    startup/start.sh           starts the server in the background (log: log.txt in the workspace)
    startup/stop_fl.sh         stops it
    rondo server start WORKSPACE    the same in the foreground

Ports to open for incoming connections: {ports}.""",
    Role.CLIENT: """    startup/start.sh           starts the client in the background (log: log.txt in the workspace)
    startup/stop_fl.sh         stops it
    rondo client start WORKSPACE    the same in the foreground

The client opens no port; it must be able to reach {host}, port {ports}, directly or through HTTPS_PROXY.

What this site allows is yours to say, in a file of the workspace that no kit and no job can change:
    cp startup/site_policy.toml.example site_policy.toml    then edit it
    rondo client policy WORKSPACE                           checks it, and says what is in force""",
    Role.ADMIN: """    startup/fl_admin.sh        opens the console; your user name is {name}

The console must be able to reach {host}, port {ports}, directly or through HTTPS_PROXY.""",
}


@dataclass(frozen=True)
class Recipe:
    """What all kits of one provisioning run share. ``policy``: the content of authorization.json, if any;
    ``now``: seconds since the epoch; ``image``: the container image named in docker.sh."""

    project: Project
    authority: Authority
    policy: Mapping[str, Any] | None
    now: float
    image: str = DEFAULT_IMAGE


def kit_files(recipe: Recipe, one: Participant, issued: Issued) -> dict[str, bytes]:
    """Every file of the startup folder of ``one``, sealed by the authority."""
    stem = STEM[one.role]
    files = {
        ROOT: recipe.authority.certificate.pem,
        f"{stem}.crt": issued.cert_pem,
        f"{stem}.key": issued.key_pem,
        "readme.txt": _readme(recipe, one, issued),
        **_plain_files(recipe, one),
    }
    return {**files, **seal(_manifest(recipe, one, digests(files)), recipe.authority)}


def _plain_files(recipe: Recipe, one: Participant) -> dict[str, bytes]:
    """The files of a kit that come out of the project alone."""
    project = recipe.project
    files = {
        CONFIG[one.role]: _json(_CONFIGS[one.role](project)),
        **scripts(one.role, one.name, recipe.image, _ports(project)),
    }
    if one.role == Role.CLIENT:
        files[f"{FILE}.example"] = EXAMPLE.encode()
    if one.role != Role.ADMIN:
        files["log.config"] = LOG_CONFIG.encode()
    if one.role == Role.SERVER and recipe.policy is not None:
        files[POLICY] = _json(recipe.policy)
    return files


def is_current(recipe: Recipe, one: Participant, manifest: Manifest) -> bool:
    """Whether a kit made earlier still says what the project says: addresses, limits, organisation."""
    config = CONFIG[one.role]
    now = digests({config: _json(_CONFIGS[one.role](recipe.project))})
    return manifest.files.get(config) == now[config] and manifest.org == one.org


def resealed(recipe: Recipe, manifest: Manifest) -> dict[str, bytes]:
    """The files that bring a server's kit made earlier to the policy of now: kit.json, kit.sig, authorization.json.

    Empty where that kit has this policy already.
    """
    changed = {POLICY: _json(recipe.policy)} if recipe.policy is not None else {}
    listed = {name: digest for name, digest in manifest.files.items() if name != POLICY} | digests(changed)
    if listed == manifest.files:
        return {}
    return {**changed, **seal(msgspec.structs.replace(manifest, files=listed), recipe.authority)}


def _manifest(recipe: Recipe, one: Participant, files: dict[str, str]) -> Manifest:
    return Manifest(
        format=FORMAT,
        project=recipe.project.name,
        role=one.role,
        name=one.name,
        org=one.org,
        created=moment(recipe.now),
        files=files,
    )


def _readme(recipe: Recipe, one: Participant, issued: Issued) -> bytes:
    project = recipe.project
    ports = ", ".join(str(port) for port in _ports(project))
    dialled = {Role.SERVER: ports, Role.CLIENT: str(project.server.fed_learn_port), Role.ADMIN: str(project.admin_port)}
    how = _HOW[one.role].format(name=one.name, host=project.server.cn, ports=dialled[one.role])
    return _README.format(
        role=one.role.value,
        name=one.name,
        org=one.org,
        project=project.name,
        created=day(recipe.now),
        until=day(issued.certificate.not_after),
        stem=STEM[one.role],
        how=how,
    ).encode()


def _ports(project: Project) -> tuple[int, ...]:
    return tuple(dict.fromkeys((project.server.fed_learn_port, project.admin_port)))


def _service(project: Project) -> dict[str, Any]:
    return {
        "target": f"{project.server.cn}:{project.server.fed_learn_port}",
        "options": [
            ["grpc.max_send_message_length", _MESSAGE_BYTES],
            ["grpc.max_receive_message_length", _MESSAGE_BYTES],
        ],
    }


def _tls(stem: str) -> dict[str, str]:
    return {"ssl_private_key": f"{stem}.key", "ssl_cert": f"{stem}.crt", "ssl_root_cert": ROOT}


def _server_config(project: Project) -> dict[str, Any]:
    server = project.server
    return {
        "format_version": 1,
        "config_folder": project.config_folder,
        "servers": [
            {
                "name": project.name,
                "service": _service(project),
                "admin_host": server.cn,
                "admin_port": project.admin_port,
                **_tls("server"),
                "min_num_clients": server.min_num_clients,
                "max_num_clients": server.max_num_clients,
                "heart_beat_timeout": project.rondo.heart_beat_timeout,
                "num_server_workers": max(4, server.min_num_clients),
                "compression": "Gzip",
                "admin_storage": server.admin_storage,
            }
        ],
    }


def _client_config(project: Project) -> dict[str, Any]:
    patience = {} if project.rondo.retry_timeout is None else {"retry_timeout": project.rondo.retry_timeout}
    return {
        "format_version": 1,
        "config_folder": project.config_folder,
        "servers": [{"name": project.name, "service": _service(project)}],
        "client": {**patience, **_tls("client"), "compression": "Gzip"},
    }


def _admin_config(project: Project) -> dict[str, Any]:
    return {
        "format_version": 1,
        "config_folder": project.config_folder,
        "servers": [
            {
                "name": project.name,
                "service": _service(project),
                "admin_host": project.server.cn,
                "admin_port": project.admin_port,
                "admin_storage": project.server.admin_storage,
            }
        ],
        "admin": {**_tls("client"), "upload_dir": "../transfer", "download_dir": "../transfer"},
    }


_CONFIGS = {Role.SERVER: _server_config, Role.CLIENT: _client_config, Role.ADMIN: _admin_config}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
