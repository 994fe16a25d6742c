"""Coding a file of 20 float32 arrays, 32 MiB, and back, by codec (``rondo.codecs``): one core, files read and written.

What goes up is the difference of two models, as an update is; the options are those that ``docs/guide/jobs.md`` quotes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.codecs import timed_files
from rondo.codecs.coding import Feedback, decode, encode
from rondo.codecs.seam import Codec, build_codec
from rondo.tensors.digest import FileInfo

MIB = 32
CODECS: dict[str, dict[str, Any]] = {"bf16": {}, "planes": {}, "int8": {}, "topk": {"fraction": 0.01}}


@pytest.fixture(scope="module")
def update(tmp_path_factory: pytest.TempPathFactory) -> FileInfo:
    return timed_files(tmp_path_factory.mktemp("codecs"), MIB)[0]


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return build_codec(request.param, CODECS[request.param])


def feedback(codec: Codec, folder: Path) -> Feedback | None:
    return Feedback(None, folder / "lost") if codec.feedback else None


def test_encode(benchmark: Callable[..., Any], codec: Codec, update: FileInfo, tmp_path: Path) -> None:
    benchmark.extra_info["mib"] = MIB  # type: ignore[attr-defined]
    benchmark(lambda: encode(codec, update.path, tmp_path / "coded", feedback(codec, tmp_path)))


def test_decode(benchmark: Callable[..., Any], codec: Codec, update: FileInfo, tmp_path: Path) -> None:
    encode(codec, update.path, tmp_path / "coded", feedback(codec, tmp_path))
    benchmark.extra_info["mib"] = MIB  # type: ignore[attr-defined]
    benchmark(lambda: decode(codec, tmp_path / "coded", tmp_path / "plain"))
