"""Flower 1.42.0: SuperLink and SuperNodes with TLS and node authentication, as its deployment guide has them.

Its clients prove who they are by signatures with registered keys, not by certificates: it has no mutual TLS.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import itertools
import shutil
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks import environments, work
from benchmarks.case import Case, Failed, Result
from benchmarks.notes import read_notes
from benchmarks.peaks import Peaks, by_word
from benchmarks.processes import Processes, environment, free_ports

APP = Path(__file__).parent / "flower_app"
TRAINING = "ClientApp"
STARTED = 120.0  # seconds that SuperLink and SuperNodes may take to know each other
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "PYTHONUNBUFFERED": "1"}
# Its documentation names no setting for speed or memory. These are what its code reads from the environment; its two
# sleeps of 3 s (SuperNode: next message; ServerApp: next replies) are constants.
BEST = {
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.05",
    "FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PUSHES": "4",
    "FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PULLS": "4",
    "MALLOC_ARENA_MAX": "2",
}

ROLES = {
    "flower-superlink": "SuperLink",
    "flower-supernode": "SuperNode",
    "flwr-serverapp": "ServerApp",
    "flwr-clientapp": TRAINING,
    "superexec": "SuperExec",
}


def measure(case: Case, folder: Path) -> Result:
    binaries = environments.binaries("flower")
    tuning = BEST if case.tuning == "best" else {}
    notes = folder / "notes.jsonl"
    port, *node_ports = free_ports(1 + case.clients)
    make_keys(folder, case.clients)
    env = environment(binaries, folder, {**QUIET, **tuning})
    with Peaks(by_word(ROLES)) as peaks, Processes(folder, env) as processes:
        flwr = _Flwr(processes, binaries, folder, port)
        tls = ["--ssl-ca-certfile", "ca.pem", "--ssl-certfile", "server.pem", "--ssl-keyfile", "server.key"]
        link = [binaries / "flower-superlink", "--host", "127.0.0.1", "--port", port, *tls]
        link += ["--enable-supernode-auth", "--disable-runtime-dependency-installation"]
        peaks.watch("server", processes.start("superlink", link, _home(folder, "superlink")))
        processes.wait_for("the SuperLink's start", lambda: _is_up(port, folder / "ca.pem"), STARTED)
        for number in range(case.clients):
            flwr.call("supernode", "register", folder / f"node{number}.pub", "bench")
        for number, node_port in enumerate(node_ports):
            node = [binaries / "flower-supernode", "--superlink", f"127.0.0.1:{port}", "--root-certificates", "ca.pem"]
            node += ["--host", "127.0.0.1", "--port", node_port, "--auth-supernode-private-key", f"node{number}"]
            node += ["--node-config", f"client={number}"]
            peaks.watch(f"client {number}", processes.start(f"node-{number}", node, _home(folder, f"node-{number}")))
        nodes = [processes.log(f"node-{number}") for number in range(case.clients)]
        known = "SuperNode ID"
        processes.wait_for("all SuperNodes' start", lambda: all(known in one.read_text() for one in nodes), STARTED)
        flwr.submit(case, notes)
        ended = '"event": "end"'
        try:
            processes.wait_for("the run", lambda: notes.exists() and ended in notes.read_text(), case.seconds)
        except Failed as failure:
            raise Failed(f"{peaks.guarded}\n{failure}") from None
        noise = peaks.noise()
        versions = environments.versions("flower", "flwr", "numpy", "uvicorn")
    moments, correct = read_notes(notes, case.rounds)
    seconds = [after - before for before, after in itertools.pairwise(moments)]
    return Result(seconds, peaks.mb(), correct, _settings(tuning), versions, training=[TRAINING], noise=noise)


class _Flwr:
    """The ``flwr`` command of a researcher, with a home and a connection of its own."""

    def __init__(self, processes: Processes, binaries: Path, folder: Path, port: int) -> None:
        self._processes = processes
        self._flwr = binaries / "flwr"
        self._folder = folder
        self._env = _home(folder, "researcher")
        config = f'[superlink]\ndefault = "bench"\n[superlink.bench]\naddress = "127.0.0.1:{port}"\n'
        (folder / "researcher" / "config.toml").write_text(f'{config}root-certificates = "{folder}/ca.pem"\n')

    def call(self, *args: object) -> str:
        return self._processes.run("flwr", [self._flwr, *args], 120, self._env)

    def submit(self, case: Case, notes: Path) -> None:
        app = self._folder / "app"
        shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(work.__file__, app / "benchapp")
        elements = work.count(case.megabytes)
        asked = f'elements = {elements}\nclients = {case.clients}\nrounds = {case.rounds}\nnotes = "{notes}"\n'
        (self._folder / "run.toml").write_text(asked)
        self.call("run", app, "bench", "--run-config", self._folder / "run.toml")


def _home(folder: Path, name: str) -> dict[str, str]:
    """Each process has a home of its own, as on a machine of its own."""
    (folder / name).mkdir(exist_ok=True)
    return {"FLWR_HOME": str(folder / name)}


def _is_up(port: int, ca: Path) -> bool:
    with contextlib.suppress(OSError):
        context = ssl.create_default_context(cafile=ca)
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/health", timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    return False


def make_keys(folder: Path, clients: int) -> None:
    """A CA (``ca.pem``), the server's certificate (``server.pem``, ``server.key``), and for each client a key pair in
    OpenSSH's format (``node0``, ``node0.pub``): what Flower's guide has its users make by hand."""
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench CA")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)

    def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: list[x509.ExtensionType]) -> bytes:
        builder = x509.CertificateBuilder(ca_name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=2))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    (folder / "ca.pem").write_bytes(certificate(ca_name, ca_key, [x509.BasicConstraints(True, None)]))
    (folder / "server.pem").write_bytes(certificate(server_name, server_key, [x509.SubjectAlternativeName(local)]))
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    private = serialization.PrivateFormat
    (folder / "server.key").write_bytes(server_key.private_bytes(pem, private.PKCS8, plain))
    for number in range(clients):
        key = ec.generate_private_key(ec.SECP384R1())
        (folder / f"node{number}").write_bytes(key.private_bytes(pem, private.OpenSSH, plain))
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (folder / f"node{number}.pub").write_bytes(public + b"\n")


def _settings(tuning: Mapping[str, str]) -> dict[str, Any]:
    return {
        "transport": "HTTPS; clients sign with registered keys (its node authentication)",
        "trainer": "a ClientApp process for each message (its default isolation)",
        "storage": "none: the SuperLink keeps everything in memory (its default)",
        "telemetry, update check, run-time dependency installation": "off",
        **tuning,
    }
