"""Every call there is, in one table: client stubs and server handlers are both made from it.

Messages are encoded and decoded by this room, not by gRPC, so that bytes which are no message get a typed answer.
The payload of a file transfer is raw bytes: no protobuf around it, no copy of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError

from rondo.wire import rondo_pb2 as pb

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


class Kind(StrEnum):
    UNARY = "unary"  # one request, one reply
    DOWN = "down"  # one request, a stream of replies
    UP = "up"  # a stream of requests, one reply


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How a value becomes bytes and back; ``decode`` raises ``ValueError`` on malformed bytes."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


@dataclass(frozen=True)
class Method(Generic[Q, A]):
    """One call: ``Q`` is asked (or streamed up), ``A`` is answered (or streamed down)."""

    service: str
    name: str
    kind: Kind
    request: Codec[Q]
    reply: Codec[A]

    @property
    def path(self) -> str:
        return f"/rondo.v1.{self.service}/{self.name}"

    @property
    def bulk(self) -> bool:
        """Whether it moves files: such calls get a connection of their own, control is never behind them."""
        return self.service == "Files"


def _message(kind: type[T]) -> Codec[T]:
    made: Any = kind  # a protobuf class; type[T] does not know what that has

    def decode(data: bytes) -> T:
        try:
            message: T = made.FromString(data)
        except DecodeError as error:
            raise ValueError(str(error)) from None
        return message

    return Codec(made.SerializeToString, decode)


def _same(data: bytes) -> bytes:
    return data


RAW: Codec[bytes] = Codec(_same, _same)


def _unary(service: str, name: str, request: type[Q], reply: type[A]) -> Method[Q, A]:
    return Method(service, name, Kind.UNARY, _message(request), _message(reply))


REGISTER = _unary("Federation", "Register", pb.Hello, pb.Welcome)
WAIT = _unary("Federation", "Wait", pb.Holding, pb.Order)
BEAT = _unary("Federation", "Beat", pb.Beat, pb.BeatReply)
REPORT = _unary("Federation", "Report", pb.Report, pb.ReportReply)
QUIT = _unary("Federation", "Quit", pb.Quit, pb.QuitReply)
OFFER = _unary("Federation", "Offer", pb.Offer, pb.OfferReply)
PULL = Method("Files", "Pull", Kind.DOWN, _message(pb.PullRequest), RAW)
PUSH = Method("Files", "Push", Kind.UP, RAW, _message(pb.PushReply))
COMMAND = Method("Desk", "Command", Kind.DOWN, _message(pb.CommandRequest), _message(pb.Rows))
WATCH = Method("Desk", "Watch", Kind.DOWN, _message(pb.WatchRequest), _message(pb.EventRow))

METHODS: tuple[Method[Any, Any], ...] = (
    REGISTER, WAIT, BEAT, REPORT, QUIT, OFFER, PULL, PUSH, COMMAND, WATCH,
)  # fmt: skip
