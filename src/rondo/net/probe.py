"""What ``rondo doctor`` asks the network, one question a function. Plain sockets: gRPC would hide the reasons.

Every wait has an end (``timeout``, seconds); every error says what was seen.
"""

from __future__ import annotations

import base64
import errno
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rondo.base.errors import Conflict, ProtocolBroken, Refused, TheirFault, Unreachable

TIMEOUT = 10.0
_MAX_ANSWER = 16 * 1024
# RFC 9113, section 3.4: how a client of HTTP/2 begins; then an empty SETTINGS frame.
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)


@dataclass(frozen=True)
class Target:
    """Where to go: ``proxy`` is the URL of an HTTP proxy on the way, or None."""

    host: str
    port: int
    proxy: str | None = None
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of ``host``. Raises ``Unreachable`` where the name means nothing here."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(
            f"the name {host} cannot be resolved: {getattr(error, 'strerror', None) or error}",
            hint="ask whoever runs the name server, or add it to the hosts file",
        ) from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@contextmanager
def connected(target: Target) -> Iterator[tuple[socket.socket, float | None]]:
    """A TCP connection to ``target``, and the time (epoch) its proxy said it was, if it has one and it did.

    Raises ``Unreachable`` or ``ProtocolBroken`` (the proxy).
    """
    with _dial(target) as line:
        yield line, (None if target.proxy is None else _tunnel(line, target))


def _dial(target: Target) -> socket.socket:
    host, port = target.host, target.port
    if target.proxy is not None:
        url = urlsplit(target.proxy)
        host, port = url.hostname or "", url.port or 80
    where = f"{'proxy ' if target.proxy else ''}{host}:{port}"
    try:
        return socket.create_connection((host, port), target.timeout)
    except TimeoutError:
        raise Unreachable(
            f"no answer within {target.timeout:g} s", where=where, hint="a firewall on the way drops the packets?"
        ) from None
    except ConnectionRefusedError:
        raise Unreachable(
            "connection refused: nothing listens there", where=where, hint="is it running, and is the port right?"
        ) from None
    except OSError as error:
        raise Unreachable(f"cannot connect: {error.strerror or error}", where=where) from None


def _tunnel(line: socket.socket, target: Target) -> float | None:
    """Ask the proxy for a tunnel (RFC 9110, CONNECT); the time in its answer's Date header."""
    url = urlsplit(target.proxy or "")
    where = f"proxy {url.hostname}:{url.port or 80}"
    ask = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        ask.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    answer = b""
    try:
        line.sendall("\r\n".join([*ask, "", ""]).encode())
        while not answer.endswith(b"\r\n\r\n") and len(answer) < _MAX_ANSWER:
            byte = line.recv(1)  # not one more: what follows belongs to the server behind
            if not byte:
                break
            answer += byte
    except OSError as error:
        raise Unreachable(f"no answer to CONNECT: {error}", where=where) from None
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ?([^\r\n]*)", answer)
    if status is None:
        raise ProtocolBroken("the answer is not that of an HTTP proxy", where=where)
    if status[1] != b"200":
        said = f"{status[1].decode()} {status[2].decode(errors='replace')}".strip()
        hint = "the proxy wants user and password: http://USER:PASSWORD@HOST:PORT" if status[1] == b"407" else ""
        raise Unreachable(
            f"the proxy refuses the way to {target}: {said}",
            where=where,
            hint=hint or f"ask its operator to allow CONNECT to {target}, or name {target.host} in NO_PROXY",
        )
    return _date(answer)


def _date(answer: bytes) -> float | None:
    found = re.search(rb"\r\ndate:([^\r\n]*)", answer, re.IGNORECASE)
    try:
        return parsedate_to_datetime(found[1].decode().strip()).timestamp() if found else None
    except (ValueError, OverflowError):
        return None


def presented(target: Target) -> bytes:
    """The certificate (DER) of whoever answers at ``target``; it is not checked here.

    Raises ``TheirFault`` where nobody answers, or what answers does not speak TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # looked at, not trusted: nothing is ever sent on this connection
    context.set_alpn_protocols(["h2"])
    with connected(target) as (line, _), _handshake(context, line, target) as secured:
        certificate = secured.getpeercert(binary_form=True)
    if certificate is None:
        raise ProtocolBroken("the server showed no certificate", where=str(target))
    return certificate


@contextmanager
def _handshake(context: ssl.SSLContext, line: socket.socket, target: Target) -> Iterator[ssl.SSLSocket]:
    try:
        secured = context.wrap_socket(line, server_hostname=target.host)
    except ssl.SSLCertVerificationError as error:
        raise Refused(f"the server's certificate is not accepted: {error.verify_message}", where=str(target)) from None
    except ssl.SSLError as error:
        raise ProtocolBroken(
            f"what answers there does not speak our TLS: {error.reason or error}",
            where=str(target),
            hint="is it another service, or does something on the way open encrypted connections?",
        ) from None
    except OSError as error:
        raise _broken(error, target) from None
    with secured:
        yield secured


def greet(target: Target, ca_pem: bytes, cert: Path, key: Path) -> None:
    """Shake hands with the server as a participant does: its certificate is verified, ours is shown.

    Raises ``Refused`` where either certificate is not accepted, ``TheirFault`` for everything else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca_pem.decode())
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])
    with connected(target) as (line, _), _handshake(context, line, target) as secured:
        try:
            # In TLS 1.3 the server judges our certificate after the handshake: only its first word tells.
            secured.sendall(_HTTP2_HELLO)
            word = secured.recv(1)
        except ssl.SSLError as error:
            raise Refused(
                f"the server does not accept this kit's certificate: {error.reason or error}", where=str(target)
            ) from None
        except OSError as error:
            raise _broken(error, target) from None
    if not word:
        raise Unreachable("the server closed the connection without a word", where=str(target))


def _broken(error: OSError, target: Target) -> TheirFault:
    if isinstance(error, TimeoutError):
        return Unreachable(f"connected, then no word within {target.timeout:g} s", where=str(target))
    return Unreachable(f"the connection broke: {error.strerror or error}", where=str(target))


def check_free(port: int) -> None:
    """Raise ``Conflict`` unless a server could listen on ``port`` of every address of this machine."""
    both = socket.has_dualstack_ipv6()
    family, anywhere = (socket.AF_INET6, "::") if both else (socket.AF_INET, "0.0.0.0")
    try:
        socket.create_server((anywhere, port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        if error.errno == errno.EACCES:
            raise Conflict(f"this user may not listen on port {port}", hint="ports below 1024 are for root") from None
        raise Conflict(
            f"cannot listen on port {port}: {error.strerror}", hint="another program uses it, or another server"
        ) from None
