"""Revoking: certificates go on the signed list of the state folder; servers get it as ``startup/revoked.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rondo.base.disk import write_atomic
from rondo.base.errors import BadInput, NotFound
from rondo.base.options import nearest
from rondo.net.kits import read_kit
from rondo.pki.certificates import Role
from rondo.pki.kit import Kit
from rondo.pki.revocation import REVOKED, Revoked
from rondo.provision.state import State, opened


def revoke(folder: Path, names: Iterable[str], servers: tuple[Path, ...], now: float, reason: str = "") -> list[str]:
    """Revoke every certificate of ``names`` that is still valid at ``now`` (epoch); what was done, in sentences.

    ``folder``: the state folder; ``servers``: opened server kits on this machine that get the list at once.
    Raises ``NotFound`` for a name that never got a kit, ``BadInput`` for a kit that is not this project's server.
    """
    with opened(folder, None, now, create=False) as state:
        kits = own_servers(servers, state)
        entries = [entry for name in names for entry in entries_of(state, _known(state, name), now, reason)]
        return revoke_entries(state, entries, kits, now)


def entries_of(state: State, name: str, now: float, reason: str) -> list[Revoked]:
    """Entries for the certificates of ``name`` that would still be accepted at ``now``."""
    return [
        Revoked(name=name, fingerprint=one.fingerprint, serial=one.serial, at=now, reason=reason)
        for one in state.known[name].certificates
        if one.not_after >= now and state.revoked.entry(one.fingerprint) is None
    ]


def revoke_entries(state: State, entries: list[Revoked], servers: list[Kit], now: float) -> list[str]:
    """Put ``entries`` on the list, and the list into ``servers``; says what was done."""
    if entries:
        state.save_revoked(state.revoked.adding(tuple(dict.fromkeys(entries)), now))
    notes = [f"revoked the certificate of {entry.name} with serial {entry.serial}" for entry in entries]
    return (notes or ["nothing to revoke: every certificate was revoked or has expired"]) + _hand_out(state, servers)


def own_servers(paths: Iterable[Path], state: State) -> list[Kit]:
    """The opened server kits in ``paths``. Raises ``BadInput`` for the kit of anyone but this project's server."""
    kits = [read_kit(path) for path in paths]
    for kit in kits:
        if kit.role != Role.SERVER or kit.authority.fingerprint != state.authority.certificate.fingerprint:
            raise BadInput(
                f"this is the kit of {kit.role} {kit.name!r} of project {kit.project!r}, not that of a server of "
                f"the project in {state.folder}",
                where=str(kit.folder),
            )
    return kits


def _known(state: State, name: str) -> str:
    if name in state.known:
        return name
    servers = [known for known, entry in state.known.items() if entry.role == Role.SERVER]
    if name == "server" and len(servers) == 1:
        return servers[0]
    raise NotFound(f"{name!r} never got a kit", where=str(state.folder), hint=nearest(name, state.known))


def _hand_out(state: State, servers: list[Kit]) -> list[str]:
    if not state.revoked.number:
        return []
    path = state.folder / REVOKED
    for kit in servers:
        write_atomic(kit.folder / REVOKED, path.read_bytes(), 0o644)
    if servers:
        return [f"wrote {kit.folder / REVOKED}" for kit in servers]
    return [f"copy {path} into the server's startup folder: it counts from then on, without a restart"]
