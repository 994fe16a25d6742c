"""How an error travels: a status for gRPC, the error itself beside it, and the same error at the other end.

The status is what spec 3.2 asks for and what foreign tools show. Code, sentence, place and hint go as JSON in the
trailing metadata, cut to what fits there, and become the same kind of error in the caller.
"""

from __future__ import annotations

from typing import Any

import grpc
import msgspec

from rondo.base.errors import BadInput, ProtocolBroken, Refused, RondoError, Unreachable, by_code

TROUBLE = "rondo-error-bin"

# Bytes of UTF-8 that each part may take: together well inside gRPC's 8 KiB for metadata.
_LENGTHS = {"what": 1024, "where": 512, "hint": 512, "detail": 2048}

_STATUS = {
    "BadInput": "INVALID_ARGUMENT",
    "Refused": "PERMISSION_DENIED",
    "SiteRefused": "PERMISSION_DENIED",
    "NotFound": "NOT_FOUND",
    "Conflict": "FAILED_PRECONDITION",
    "Unreachable": "UNAVAILABLE",
    "RunFailed": "ABORTED",
    "RunAborted": "ABORTED",
    "GaveUp": "ABORTED",
    "NoSpace": "RESOURCE_EXHAUSTED",
    "LedgerBusy": "UNAVAILABLE",
}


# No error of the server's: the connection broke, or the call did (INTERNAL: in the middle of a write).
_BROKEN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
}


class Trouble(msgspec.Struct, frozen=True):
    """An error in transit. Keys that a newer peer adds are ignored."""

    code: str
    what: str
    where: str = ""
    hint: str = ""
    detail: str = ""


def with_status(error: RondoError, status: str) -> RondoError:
    """``error``, to be sent with this gRPC status (a name such as ``"UNAUTHENTICATED"``) instead of its usual one."""
    vars(error)["status"] = grpc.StatusCode[status].name
    return error


def status_of(error: RondoError) -> str:
    """Name of the gRPC status that ``error`` travels, or has travelled, with."""
    return str(vars(error).get("status") or _STATUS.get(error.code, "INTERNAL"))


def refusal(code: str, what: str) -> RondoError:
    """A refusal that came in a reply; a code that is no error's name becomes the ``detail`` of ``Refused``."""
    error = by_code(code, what)
    return Refused(what, detail=code) if type(error) is RondoError else error


def pack(error: RondoError) -> tuple[grpc.StatusCode, str, bytes]:
    """Status, sentence and metadata value for an error that is sent."""
    parts = {name: _cut(getattr(error, name), length) for name, length in _LENGTHS.items()}
    return (
        grpc.StatusCode[status_of(error)],
        parts["what"],
        msgspec.json.encode(Trouble(error.code, **parts)),
    )


def unpack(error: grpc.aio.AioRpcError, where: str, hint: str) -> RondoError:
    """The error that a failed call means. ``where`` and ``hint`` are for those that gRPC itself found."""
    status = error.code()
    trailing: Any = error.trailing_metadata()  # pairs; the type stubs say something else
    for key, value in trailing or ():
        if key == TROUBLE:
            return with_status(_sent(value, where), status.name)
    details = error.details() or status.name
    if status in _BROKEN:
        found: RondoError = Unreachable(_reason(details), where=where, hint=hint, detail=details)
    elif status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        found = BadInput(details, where=where)
    elif status is grpc.StatusCode.UNIMPLEMENTED:
        found = ProtocolBroken("the server does not know this call", where=where, hint="is it an older version?")
    else:
        found = ProtocolBroken(details, where=where, hint="is this a Rondo server?")
    return with_status(found, status.name)


def _sent(value: str | bytes, where: str) -> RondoError:
    try:
        trouble = msgspec.json.decode(value, type=Trouble)
    except msgspec.DecodeError:
        return ProtocolBroken("an error that cannot be read", where=where)
    return by_code(trouble.code, trouble.what, where=trouble.where, hint=trouble.hint, detail=trouble.detail)


def _cut(text: str, length: int) -> str:
    data = text.encode("utf-8", "replace")
    return data[:length].decode("utf-8", "ignore")


_FOREIGN = "the server's certificate was not issued by this project, or has expired"

# What gRPC says (a part of it), and what it means. The first that fits is taken.
_MEANINGS = (
    ("Hostname Verification", "the server's certificate is for another host name"),
    ("BAD_SIGNATURE", _FOREIGN),
    ("CERTIFICATE_VERIFY_FAILED", _FOREIGN),
    ("Socket closed", "the server closed the connection; it may not accept this certificate"),
    ("HTTP proxy returned", "the proxy refused the connection"),
    ("Connection refused", "nothing listens there"),
    ("Connection reset", "the connection was cut"),
    ("Broken pipe", "the connection was cut"),
    ("Internal error from Core", "the connection was cut"),
    ("Deadline Exceeded", "no answer in time"),
    ("errors resolving", "the host name is not known"),
    ("ping timeout", "the other side is silent"),
    ("timed out", "the other side is silent"),
    ("Cancelling all calls", "the server is shutting down"),
)


def _reason(details: str) -> str:
    for part, meaning in _MEANINGS:
        if part in details:
            return meaning
    return f"no connection: {_cut(details, 300)}"
