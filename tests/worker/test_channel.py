"""Frames: what is sent arrives; what is cut, too long or nonsense is told or is the end."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import ProtocolBroken
from rondo.worker.channel import Channel, encode, receive

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=3), st.integers(1, 7))
def test_messages_arrive_however_the_bytes_are_cut(messages: list[dict[str, object]], step: int) -> None:
    stream = b"".join(encode(message) for message in messages)

    async def read() -> list[dict[str, object] | None]:
        reader = asyncio.StreamReader()
        for start in range(0, len(stream), step):
            reader.feed_data(stream[start : start + step])
        reader.feed_eof()
        return [await receive(reader) for _ in range(len(messages) + 1)]

    assert asyncio.run(read()) == [*messages, None]


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 5, 10])
async def test_a_cut_frame_is_the_end(cut: int, pair: tuple[socket.socket, socket.socket]) -> None:
    frame = encode({"do": "something"})[:cut]
    reader = asyncio.StreamReader()
    reader.feed_data(frame)
    reader.feed_eof()
    assert await receive(reader) is None
    pair[0].sendall(frame)
    pair[0].close()
    assert Channel(pair[1]).next() is None


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"\xff\xff\xff\xff", "a message of 4294967295 bytes"),
        (b"\x01\x00\x00\x01", "a message of 16777217 bytes"),
        (b"\x00\x00\x00\x02[]", "no JSON object"),
        (b"\x00\x00\x00\x02{x", "no JSON object"),
        (b"\x00\x00\x00\x00", "no JSON object"),
    ],
)
async def test_nonsense_is_refused(frame: bytes, says: str, pair: tuple[socket.socket, socket.socket]) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(frame)
    with pytest.raises(ProtocolBroken, match=says):
        await receive(reader)
    pair[0].sendall(frame)
    with pytest.raises(ProtocolBroken, match=says):
        Channel(pair[1]).next()


def test_what_is_too_long_is_not_sent() -> None:
    assert len(encode({"x": "y" * (16 * 1024 * 1024 - 8)})) == 16 * 1024 * 1024 + 4
    with pytest.raises(ProtocolBroken, match="16777217 bytes"):
        encode({"x": "y" * (16 * 1024 * 1024 - 7)})


async def test_progress_goes_out_only_while_somebody_waits_and_not_too_often() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(theirs)
        channel.progress(0.1, "nobody asked")
        ours.sendall(encode({"do": "train"}))
        assert channel.next() == {"do": "train"} == channel.asked
        threads = [threading.Thread(target=channel.progress, args=(0.5, "now")) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        channel.answer({"say": "done"})
        channel.progress(0.9, "nobody waits")
        assert channel.asked is None
    reader, writer = await asyncio.open_connection(sock=ours)
    got = []
    while (message := await receive(reader)) is not None:
        got.append(message)
    writer.close()
    assert got[0] == {"say": "progress", "fraction": 0.5, "detail": "now"} and got[-1] == {"say": "done"}
    assert len(got) < 20


def test_close_is_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(encode({"do": "close"}))
    channel = Channel(pair[1])
    assert channel.next() is None and channel.asked is None
