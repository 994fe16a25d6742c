"""``rondo doctor``: what stands between this kit and its server, one question a function.

Nothing here raises for what it finds: every question ends in a ``Finding``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rondo.base.errors import BadInput, Conflict, Refused, RondoError, TheirFault
from rondo.net.kits import check_key_rights, read_kit, revocations
from rondo.net.probe import TIMEOUT, Target, check_free, connected, greet, presented, resolve
from rondo.net.route import proxy_for
from rondo.pki.certificates import Certificate, Role, check_issued, day, moment, parse_certificate
from rondo.pki.kit import STEM, Kit

State = Literal["ok", "warn", "bad"]
SOON_DAYS = 60
_GIB = 1 << 30
LITTLE, TOO_LITTLE = 10 * _GIB, 1 * _GIB
_SKEW = 300.0


@dataclass(frozen=True)
class Finding:
    """The answer to one question; ``hint`` says what to do where it is not ok."""

    name: str
    state: State
    what: str
    hint: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What the questions are asked against. ``now``: this machine's clock (epoch); ``timeout``: seconds a probe."""

    now: float
    environ: Mapping[str, str]
    timeout: float = TIMEOUT


def examine(path: Path, around: Surroundings) -> list[Finding]:
    """Every finding about the kit in ``path``, in the order in which a connection needs the things."""
    try:
        kit = read_kit(path)
    except RondoError as error:
        return [_bad("kit", error)]
    signed = f"kit of {kit.role} {kit.name}, project {kit.project}: signed, and every file as it was signed"
    findings = [Finding("kit", "ok", signed), check_key(kit), check_certificate(kit, around.now), *check_options(kit)]
    if kit.role == Role.SERVER:
        findings += [check_revocations(kit), check_clock(kit, around.now), check_own_name(kit)]
        findings += [check_port_free(kit, port, around) for port in dict.fromkeys((kit.port, kit.admin_port))]
    else:
        findings += _examine_way(kit, around)
    return [*findings, check_disk(kit.workspace, shutil.disk_usage(kit.workspace).free)]


def _examine_way(kit: Kit, around: Surroundings) -> list[Finding]:
    port = kit.admin_port if kit.role == Role.ADMIN else kit.port
    try:
        proxy = proxy_for(kit.host, port, around.environ)
    except BadInput as error:
        return [_bad("proxy", error)]
    target = Target(kit.host, port, proxy, around.timeout)
    reached, proxy_time = check_port(target)
    way = [check_name(target), reached]
    if reached.state == "bad":
        return [*way, check_clock(kit, around.now)]
    tls, certificate = check_tls(kit, target, around.now)
    return [*way, tls, check_clock(kit, around.now, certificate, proxy_time)]


def check_key(kit: Kit) -> Finding:
    try:
        check_key_rights(kit)
    except Refused as error:
        return _bad("key rights", error)
    return Finding("key rights", "ok", f"only its owner may read {STEM[kit.role]}.key")


def check_certificate(kit: Kit, now: float) -> Finding:
    """The chain was verified when the kit was opened; what is left is time."""
    last = min(kit.certificate.not_after, kit.authority.not_after)
    days = int((last - now) // 86400)
    text = f"signed by {kit.authority.name} (sha256 {kit.authority.fingerprint[:16]}...), valid until {day(last)}"
    hint = f"ask whoever provisions the project for: rondo provision renew {kit.name}"
    if now > last:
        return Finding("certificate", "bad", f"the certificate of {kit.name} expired on {day(last)}", hint)
    if days < SOON_DAYS:
        return Finding("certificate", "warn", f"{text}: {days} days left", hint)
    return Finding("certificate", "ok", f"{text}: {days} days left")


def check_options(kit: Kit) -> list[Finding]:
    """Clara needed a limit for the size of a message; a model moves in pieces here, whatever its size."""
    text = f"not needed and not used: {', '.join(kit.unneeded)}; models of any size move in pieces"
    return [Finding("service.options", "ok", text)] if kit.unneeded else []


def check_revocations(kit: Kit) -> Finding:
    try:
        listed = revocations(kit)
    except RondoError as error:
        return _bad("revocations", error)
    return Finding("revocations", "ok", f"list {listed.number} with {len(listed.entries)} revoked certificates")


def check_name(target: Target) -> Finding:
    """Behind a proxy it is the proxy that resolves the name, so it need not mean anything here."""
    try:
        addresses = resolve(target.host, target.port)
    except TheirFault as error:
        if target.proxy is not None:
            return Finding("name", "ok", f"{target.host} is resolved by the proxy, not here")
        return _bad("name", error)
    return Finding("name", "ok", f"{target.host} is {', '.join(addresses)}")


def check_own_name(kit: Kit) -> Finding:
    try:
        addresses = resolve(kit.host, kit.port)
    except TheirFault as error:
        return Finding("name", "warn", error.what, "every participant must be able to resolve it")
    return Finding("name", "ok", f"{kit.host} is {', '.join(addresses)}")


def check_port(target: Target) -> tuple[Finding, float | None]:
    """Whether ``target`` can be reached; the proxy's time (epoch), where there is one and it says it."""
    way = "directly" if target.proxy is None else "through the proxy"
    try:
        with connected(target) as (_, proxy_time):
            return Finding("port", "ok", f"{target} is reached {way}"), proxy_time
    except TheirFault as error:
        return _bad("port", error), None


def check_tls(kit: Kit, target: Target, now: float) -> tuple[Finding, Certificate | None]:
    """Whether both sides accept each other; the certificate the server showed, if it is its own.

    The server's certificate is first looked at and then verified, so that the finding names the exact mismatch.
    """
    try:
        server = parse_certificate(presented(target), f"certificate shown by {target}")
        check_issued(server, kit.authority, str(target))
    except RondoError as error:
        return _bad("TLS", error), None
    mismatch = _mismatch(kit, server, target.host, now)
    if mismatch is not None:
        return mismatch, server
    try:
        greet(target, kit.ca_pem, kit.folder / f"{STEM[kit.role]}.crt", kit.folder / f"{STEM[kit.role]}.key")
    except RondoError as error:
        return _bad("TLS", error), server
    return Finding("TLS", "ok", f"{server.name} and this kit accept each other's certificates"), server


def _mismatch(kit: Kit, server: Certificate, host: str, now: float) -> Finding | None:
    if host.lower() not in (name.lower() for name in server.hosts):
        what = f"host name mismatch: this kit dials {host}, the server's certificate is for {', '.join(server.hosts)}"
        return Finding("TLS", "bad", what, "this kit and the server's must come from the same project file")
    if server.unit != Role.SERVER:
        what = f"what answers as the server shows the certificate of {server.unit} {server.name}"
        return Finding("TLS", "bad", what, "somebody poses as the server: tell whoever runs it")
    if now > server.not_after:
        what = f"the server's certificate expired on {day(server.not_after)} (this machine's clock says {day(now)})"
        return Finding("TLS", "bad", what, f"whoever provisions: rondo provision renew {server.name}")
    if now < server.not_before:
        what = f"the server's certificate is valid from {moment(server.not_before)} on, here it is {moment(now)}"
        return Finding("TLS", "bad", what, "set this machine's clock")
    return None


def check_clock(kit: Kit, now: float, server: Certificate | None = None, proxy_time: float | None = None) -> Finding:
    """This machine's clock cannot be earlier than the making of any certificate seen, nor far from the proxy's."""
    for certificate in (kit.authority, kit.certificate, *([server] if server else [])):
        if now < certificate.not_before:
            what = f"it is {moment(now)} here, before the certificate of {certificate.name} was made"
            return Finding("clock", "bad", f"{what} ({moment(certificate.not_before)})", "set the clock")
    if proxy_time is not None and abs(proxy_time - now) > _SKEW:
        off = f"{abs(proxy_time - now):.0f} s {'behind' if proxy_time > now else 'ahead of'}"
        return Finding("clock", "warn", f"{moment(now)}: {off} the proxy's clock", "set the clock of one of them")
    return Finding("clock", "ok", f"{moment(now)} is plausible")


def check_port_free(kit: Kit, port: int, around: Surroundings) -> Finding:
    """Whether the server could listen on ``port``, or does so already."""
    name = f"port {port}"
    try:
        check_free(port)
    except Conflict as error:
        try:
            shown = parse_certificate(presented(Target("localhost", port, None, around.timeout)), name)
        except RondoError:
            return _bad(name, error)
        if shown.fingerprint == kit.certificate.fingerprint:
            return Finding(name, "ok", "in use by this kit's own server, which is running")
        return _bad(name, error)
    return Finding(name, "ok", "free to listen on")


def check_disk(workspace: Path, free: int) -> Finding:
    """``free``: bytes."""
    text = f"{free / _GIB:.1f} GiB free in {workspace}"
    if free < TOO_LITTLE:
        return Finding("disk", "bad", text, "models, updates and logs are kept there: free some space")
    return Finding("disk", "warn" if free < LITTLE else "ok", text, "little for models" if free < LITTLE else "")


def _bad(name: str, error: RondoError) -> Finding:
    what = f"{error.where}: {error.what}" if error.where else error.what
    return Finding(name, "bad", what, error.hint)
