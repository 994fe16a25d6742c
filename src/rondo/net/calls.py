"""One call on the server: who is calling, what the handler is given, and what becomes of its errors.

A handler gets the request and a ``Call``, and answers or raises a ``RondoError``, which travels to the caller. An
exception that nobody expected is logged with its traceback under a short id, the caller is told the id, and the
server goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from rondo.base.errors import BadInput, MachineFault, Refused, RondoError
from rondo.base.ids import new_id
from rondo.net.channel import TOKEN
from rondo.net.errors import TROUBLE, pack, with_status
from rondo.net.methods import Codec, Kind, Method

T = TypeVar("T")

_LONGEST_TOKEN = 256

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peer:
    """Who is at the other end, as the TLS handshake proved it.

    ``common_name`` and ``role`` (its unit: client, admin) of the certificate; ``fingerprint``: SHA-256 of its DER
    form, 64 hex digits; ``address``: host and port as seen here (a proxy's, where there is one).
    """

    common_name: str
    role: str
    fingerprint: str
    address: str


@dataclass(frozen=True)
class Call:
    """What a handler knows besides the request. ``token`` is empty where none was sent; it is only a claim."""

    method: str
    peer: Peer
    token: str = ""
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)


# Takes (request, call) and returns an awaitable answer (UNARY), takes (request, call) and returns an async iterator
# of answers (DOWN), or takes (async iterator of requests, call) and returns an awaitable answer (UP).
Handler = Callable[[Any, Any], Any]
Handlers = Mapping[Method[Any, Any], Handler]


def rpc(method: Method[Any, Any], handler: Handler, running: set[asyncio.Task[Any]]) -> Any:
    """gRPC's own form of a handler: bytes in and out, errors turned into statuses. ``running``: calls in progress."""
    answering, form = {
        Kind.UNARY: (_unary, grpc.unary_unary_rpc_method_handler),
        Kind.DOWN: (_down, grpc.unary_stream_rpc_method_handler),
        Kind.UP: (_up, grpc.stream_unary_rpc_method_handler),
    }[method.kind]
    answer = answering(method, handler)

    async def serve(request: Any, context: Any) -> Any:
        if task := asyncio.current_task():
            running.add(task)
            task.add_done_callback(running.discard)
        return await _settled(method, context, answer(request, context))

    return form(serve)


def _unary(method: Method[Any, Any], handler: Handler) -> Handler:
    async def answer(raw: bytes, context: Any) -> bytes:
        reply = await handler(_decoded(method.request, raw), _call(method, context))
        return method.reply.encode(reply)

    return answer


def _down(method: Method[Any, Any], handler: Handler) -> Handler:
    async def answer(raw: bytes, context: Any) -> None:
        async with aclosing(handler(_decoded(method.request, raw), _call(method, context))) as replies:
            async for reply in replies:
                await context.write(method.reply.encode(reply))

    return answer


def _up(method: Method[Any, Any], handler: Handler) -> Handler:
    async def requests(context: Any) -> AsyncGenerator[Any, None]:
        while isinstance(raw := await context.read(), bytes):  # EOF is not
            yield _decoded(method.request, raw)

    async def answer(_: object, context: Any) -> bytes:
        try:
            async with aclosing(requests(context)) as decoded:
                reply = await handler(decoded, _call(method, context))
        except Exception:
            await _heard_enough(context)
            raise
        await _heard_enough(context)
        return method.reply.encode(reply)

    return answer


async def _heard_enough(context: Any) -> None:
    """Tell the sender to stop and let it: an answer in the middle of its bytes would be lost to it.

    (A write that fails overwrites the status of the call in grpc.aio, refusal and all.)
    """
    await context.send_initial_metadata(())
    while isinstance(await context.read(), bytes):
        pass


async def _settled(method: Method[Any, Any], context: Any, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except RondoError as error:
        if isinstance(error, MachineFault):  # the caller cannot mend it; who runs this server can
            _log.error("%s: %s", method.path, error)
        sent = error
    except grpc.aio.InternalError:
        # The caller is gone in the middle of an answer: nobody is left to be told, and gRPC would log a traceback.
        raise asyncio.CancelledError from None
    except Exception:  # noqa: BLE001 one call ends here, the server goes on
        number = new_id()[:8]
        # Text, not the exception: whoever keeps the record would keep its frames, and the connection with them.
        _log.error("%s failed (%s)\n%s", method.path, number, traceback.format_exc())
        sent = RondoError("the server failed on this call", where=method.path, hint=f"its log has it under {number}")
    status, details, trouble = pack(sent)
    await context.abort(status, details, ((TROUBLE, trouble),))
    raise AssertionError("abort returned")


def _decoded(codec: Codec[Any], raw: bytes) -> Any:
    try:
        return codec.decode(raw)
    except ValueError as error:
        raise BadInput(f"a request that cannot be read: {error}") from None


def _call(method: Method[Any, Any], context: Any) -> Call:
    pem = next(iter(context.auth_context()["x509_pem_cert"]))
    peer = Peer(*_identity(pem), _address(context.peer()))
    metadata: dict[str, str | bytes] = dict(context.invocation_metadata())
    token = metadata.pop(TOKEN, "")
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
        raise with_status(Refused("Unknown client identity"), "UNAUTHENTICATED")
    return Call(method.path, peer, token, metadata)


@lru_cache(maxsize=4096)
def _identity(pem: bytes) -> tuple[str, str, str]:
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise with_status(Refused("the certificate needs exactly one common name"), "UNAUTHENTICATED")
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    role = str(units[0].value) if len(units) == 1 else ""
    return str(names[0].value), role, hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _address(peer: str) -> str:
    """``ipv4:10.0.0.1:5000`` and ``ipv6:%5B::1%5D:5000`` as people write them."""
    return unquote(peer.split(":", 1)[-1])
