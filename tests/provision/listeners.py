"""Real sockets for the doctor: a TLS server with any certificate, a CONNECT proxy, services that are no server."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rondo.pki.authority import Issued

Serve = Callable[[socket.socket], None]


@contextmanager
def listening(serve: Serve, port: int = 0) -> Iterator[int]:
    """A port (0: any) where every connection is given to ``serve``, one after the other, until the block ends."""
    ended = threading.Event()
    with socket.create_server(("localhost", port)) as listener:

        def accept() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    line, _ = listener.accept()
                    with line:
                        serve(line)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname()).close()
            thread.join()


def tls(folder: Path, shown: Issued, client_ca: bytes, answer: bytes = b"\0") -> Serve:
    """Shows ``shown``, asks for a certificate of ``client_ca``, answers the first word with ``answer``, hangs up."""
    (folder / "listener.crt").write_bytes(shown.cert_pem)
    (folder / "listener.key").write_bytes(shown.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "listener.crt", folder / "listener.key")
    context.load_verify_locations(cadata=client_ca.decode())
    context.verify_mode = ssl.CERT_REQUIRED

    def serve(line: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(line, server_side=True) as secured:
            if secured.recv(100):
                secured.sendall(answer)

    return serve


def says(answer: bytes) -> Serve:
    """Answers whatever comes with ``answer``, and hangs up."""

    def serve(line: socket.socket) -> None:
        if line.recv(1000):
            line.sendall(answer)

    return serve


def silent(line: socket.socket) -> None:
    """Reads and says nothing, until the other side has enough."""
    while line.recv(1000):
        continue


@contextmanager
def proxy(target: int, asked: list[str], header: str = "") -> Iterator[int]:
    """A CONNECT proxy that takes everyone to port ``target`` of this machine and notes what it was asked."""

    def serve(line: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            if not (byte := line.recv(1)):
                return
            request += byte
        asked.append(request.decode())
        with socket.create_connection(("localhost", target)) as other:
            line.sendall(f"HTTP/1.1 200 Connection established\r\n{header}\r\n".encode())
            back = threading.Thread(target=_pump, args=(other, line))
            back.start()
            _pump(line, other)
            back.join()

    with listening(serve) as port:
        yield port


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
