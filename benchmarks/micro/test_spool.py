"""Spooling an upload: 64 chunks of 1 MiB into a file of its own, hashed as they come (``rondo.net.part``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rondo.net.part import Part
from rondo.tensors.digest import file_digest
from rondo.wire import rondo_pb2 as pb

MIB = 64


@pytest.mark.parametrize("durable", [False, True], ids=["process", "disk"])
def test_spool(benchmark: Callable[..., Any], durable: bool, tmp_path: Path) -> None:
    chunk = bytes(range(256)) * 4096
    whole = tmp_path / "whole"
    whole.write_bytes(chunk * MIB)
    file = pb.FileRef(digest=file_digest(whole).digest, size=MIB << 20)

    async def spool() -> None:
        async with Part(tmp_path / "in", file, durable=durable) as part:
            for _ in range(MIB):
                part.append(chunk)
            await part.finish()
        (tmp_path / "in").unlink()

    benchmark.extra_info["mib"] = MIB  # type: ignore[attr-defined]
    benchmark(lambda: asyncio.run(spool()))
