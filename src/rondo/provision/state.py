"""What a project's provisioning must remember: the authority's key, who has which certificate, what was revoked.

A folder, 0700, of small files that people can read: ``state.json``, ``rootCA.pem``, ``rootCA.key`` (0600),
``revoked.json`` (signed), ``issued/NAME.json`` (the manifest of the newest kit), ``issued/NAME-SERIAL.crt``. No private
key of a participant and no password is ever kept.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rondo.base.disk import disk_errors, write_atomic
from rondo.base.errors import BadInput, Conflict, NotFound, Refused
from rondo.pki.authority import Authority, Issued, load_authority, make_authority
from rondo.pki.certificates import Role
from rondo.pki.kit import ROOT
from rondo.pki.manifest import Manifest
from rondo.pki.revocation import REVOKED, RevocationList, nothing_revoked, read_list, sign_list

_STATE = "state.json"
_KEY = "rootCA.key"
FORMAT = 1


class Certified(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One certificate that was issued. Times in seconds since the epoch."""

    serial: str
    fingerprint: str
    issued_at: float
    not_after: float


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A participant who has a kit: its certificates, oldest first."""

    role: Role
    org: str
    certificates: tuple[Certified, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    project: str
    participants: dict[str, Known]


class State:
    """An opened state folder; nothing changes on disk before ``save`` or ``save_revoked``."""

    def __init__(
        self, folder: Path, authority: Authority, project: str, known: dict[str, Known], revoked: RevocationList
    ) -> None:
        self.folder = folder
        self.authority = authority
        self.project = project
        self.known = known
        self.revoked = revoked
        self._pending: dict[str, bytes] = {}

    def manifest(self, name: str) -> Manifest:
        """What the newest kit of ``name`` contains. Raises ``BadInput`` where the state folder lost it."""
        path = self.folder / "issued" / f"{name}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot be read: {error}", where=str(path), hint=f"rondo provision renew {name}") from None

    def remember(self, role: Role, org: str, issued: Issued, manifest: bytes, now: float) -> None:
        """A participant got a kit: its certificate and manifest."""
        certificate = issued.certificate
        entry = Certified(
            serial=certificate.serial,
            fingerprint=certificate.fingerprint,
            issued_at=now,
            not_after=certificate.not_after,
        )
        earlier = self.known[certificate.name].certificates if certificate.name in self.known else ()
        self.known[certificate.name] = Known(role=role, org=org, certificates=(*earlier, entry))
        self._pending[f"issued/{certificate.name}-{certificate.serial}.crt"] = issued.cert_pem
        self.remember_manifest(certificate.name, manifest)

    def remember_manifest(self, name: str, manifest: bytes) -> None:
        self._pending[f"issued/{name}.json"] = manifest

    def save(self) -> None:
        """Write what was remembered; ``state.json`` last. Raises ``NoSpace``."""
        for name, content in self._pending.items():
            write_atomic(self.folder / name, content, 0o600)
        self._pending.clear()
        file = _File(format=FORMAT, project=self.project, participants=dict(sorted(self.known.items())))
        write_atomic(self.folder / _STATE, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n", 0o600)

    def save_revoked(self, revoked: RevocationList) -> None:
        """Sign and keep the next revocation list, as servers get it."""
        content = sign_list(self.revoked.replaced_by(revoked, REVOKED), self.authority)
        write_atomic(self.folder / REVOKED, content, 0o644)
        self.revoked = revoked


@contextmanager
def opened(folder: Path, project: str | None, now: float, *, create: bool = True) -> Iterator[State]:
    """The state of ``project`` (None: whose it is) in ``folder``, held against other runs until the block ends.

    With ``create``, a new authority for ``project`` is made where there is none. Raises ``NotFound`` (nothing there
    and not ``create``), ``Conflict`` (another run holds it, or it belongs to another project), ``BadInput`` (damaged),
    ``Refused`` (the authority's key is open to others), ``NoSpace``.
    """
    if not (folder / _STATE).exists() and (project is None or not create):
        raise NotFound("nothing was provisioned here yet", where=str(folder), hint="rondo provision -p project.yml")
    with disk_errors(folder, "use the state folder"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    with _held(folder):
        if project is not None and not (folder / _STATE).exists():
            yield _made(folder, project, now)
        else:
            yield _read(folder, project)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with disk_errors(folder, "lock the state folder"):
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another provisioning run uses this state folder", where=str(folder)) from None
        yield
    finally:
        os.close(descriptor)


def _made(folder: Path, project: str, now: float) -> State:
    """A new state: the authority is on disk before the first kit is, so that no kit can outlive its root."""
    if (folder / _KEY).exists():
        raise BadInput(
            f"there is an authority's key but no {_STATE}",
            where=str(folder),
            hint=f"restore {_STATE} from a backup; or, if no kit was ever made with it, remove the folder",
        )
    authority = make_authority(project, now)
    write_atomic(folder / ROOT, authority.certificate.pem, 0o644)
    write_atomic(folder / _KEY, authority.key_pem, 0o600)
    state = State(folder, authority, project, {}, nothing_revoked(project))
    state.save()
    return state


def _read(folder: Path, project: str | None) -> State:
    path = folder / _STATE
    try:
        file = msgspec.json.decode(_bytes(path), type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"damaged: {error}", where=str(path), hint="restore it from a backup") from None
    if file.format > FORMAT:
        raise BadInput(f"format {file.format} is newer than {FORMAT}", where=str(path), hint="update Rondo")
    if project is not None and file.project != project:
        raise Conflict(
            f"this is the state of project {file.project!r}, not of {project!r}",
            where=str(folder),
            hint="each project has a state folder of its own (-s)",
        )
    key = folder / _KEY
    content = _bytes(key)
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        raise Refused(
            f"the authority's private key is open to others (mode {mode:04o})",
            where=str(key),
            hint=f"chmod 600 '{key}'",
        )
    authority = load_authority(_bytes(folder / ROOT), content, str(folder))
    revoked = nothing_revoked(file.project)
    if (folder / REVOKED).exists():
        revoked = read_list(_bytes(folder / REVOKED), authority.certificate, file.project, str(folder / REVOKED))
    return State(folder, authority, file.project, dict(file.participants), revoked)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", where=str(path), hint="restore it from a backup of the state folder"
        ) from error
