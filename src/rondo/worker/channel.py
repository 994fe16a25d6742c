"""What a worker and its parent say to each other: JSON objects in frames, over one socket pair.

A frame is the length of its body (4 bytes, big endian) and the body (at most 16 MiB). Models never travel here:
a message names files. The child's end blocks, the parent's end is asyncio; both decode the same way.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rondo.base.errors import ProtocolBroken

if TYPE_CHECKING:  # the child does without
    import asyncio

_MOST = 16 * 1024 * 1024
_PROGRESS_GAP = 0.1  # seconds
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(message: Mapping[str, Any]) -> bytes:
    """The whole frame. Raises ``ProtocolBroken`` when the message is too long for one."""
    body = msgspec.json.encode(message)
    return _length(len(body)).to_bytes(4, "big") + body


def _length(size: int) -> int:
    if size > _MOST:
        raise ProtocolBroken(f"a message of {size} bytes, at most {_MOST} are allowed", where="worker channel")
    return size


def _decode(body: bytes | bytearray) -> dict[str, Any]:
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise ProtocolBroken(f"a frame that is no JSON object: {error}", where="worker channel") from None


async def receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message; ``None`` when the other end is gone. Raises ``ProtocolBroken``."""
    try:
        size = _length(int.from_bytes(await reader.readexactly(4), "big"))
        return _decode(await reader.readexactly(size))
    except (EOFError, ConnectionError):
        return None


def take(end: socket.socket) -> dict[str, Any] | None:
    """The next message of a blocking socket; ``None`` when the other end is gone. Raises ``ProtocolBroken``."""
    head = _exactly(end, 4)
    body = _exactly(end, _length(int.from_bytes(head, "big"))) if head else None
    return None if body is None else _decode(body)


def _exactly(end: socket.socket, size: int) -> bytearray | None:
    body = bytearray(size)
    view = memoryview(body)
    while view:
        try:
            count = end.recv_into(view)
        except ConnectionError:
            return None
        if count == 0:
            return None
        view = view[count:]
    return body


class Channel:
    """The child's end: ``next`` takes a request, ``answer`` answers it, ``progress`` may be told meanwhile.

    Answering and telling progress is safe from any thread; only one thread asks for the next request.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()
        self._told = 0.0
        self.asked: dict[str, Any] | None = None
        """The request that waits for its answer."""

    def next(self) -> dict[str, Any] | None:
        """The next request; ``None`` when there is no more to do. Raises ``ProtocolBroken``."""
        request = take(self._end)
        if request is None or request.get("do") == "close":
            return None
        self.asked = request
        return request

    def answer(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            self.asked = None
            self._end.sendall(encode(message))

    def progress(self, fraction: float, detail: str) -> None:
        """At most ten a second go out, and none while nobody waits."""
        with self._sending:
            now = time.monotonic()
            if self.asked is not None and now - self._told >= _PROGRESS_GAP:
                self._told = now
                self._end.sendall(encode({"say": "progress", "fraction": fraction, "detail": detail}))
