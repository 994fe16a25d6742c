"""Random jobs, folders and archives: what is sound comes through unchanged, what is not never gets out of its box."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rondo.base.errors import BadInput
from rondo.jobs.folder import no_clashes
from rondo.jobs.job import Job, read_job
from rondo.jobs.package import Limits, pack, unpack
from tests.jobs.folders import Entry, fill, make_job, make_zip, tree


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder for each example."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


NAMES = st.text(st.sampled_from("abAB_-.é"), min_size=1, max_size=6).filter(lambda name: name.strip("."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(PATHS, st.binary(max_size=200), max_size=8)


def assume_sound(names: list[str]) -> None:
    try:
        no_clashes(names)
    except BadInput:
        assume(False)


@given(TREES, st.randoms(use_true_random=False))
def test_a_package_is_its_content_and_nothing_else(files: dict[str, bytes], chance: Any) -> None:
    assume_sound(list(files))
    with folder() as here:
        one = fill(here / "one", files)
        one.mkdir(exist_ok=True)
        shuffled = list(files.items())
        chance.shuffle(shuffled)
        other = fill(here / "other", dict(shuffled))
        other.mkdir(exist_ok=True)
        for path in other.rglob("*"):
            os.utime(path, (chance.randrange(10**9), chance.randrange(10**9)))
        package = pack(one, here / "1.zip")
        assert package.digest == pack(other, here / "2.zip").digest
        unpack(package.path, here / "out")
        assert tree(here / "out") == tree(one)


HOSTILE = st.text(st.sampled_from("./\\ab:\0\n~é"), max_size=12) | PATHS


@given(
    st.lists(
        st.builds(
            Entry,
            HOSTILE,
            st.binary(max_size=50),
            st.sampled_from([0, 0o100644, 0o120777, 0o40755, 0o60600]),
            st.booleans(),
        ),
        max_size=5,
    )
)
def test_no_archive_writes_outside_its_folder(entries: list[Entry]) -> None:
    with folder() as here:
        archive = make_zip(here / "z", entries)
        (here / "box").mkdir()
        try:
            unpack(archive, here / "box" / "out", Limits(total=1000))
        except BadInput:
            assert list((here / "box").iterdir()) == []
        else:
            assert len(tree(here / "box" / "out")) == sum(not entry.name.endswith("/") for entry in entries)
        assert sorted(path.name for path in here.iterdir()) == ["box", "z"]


@given(st.data())
def test_a_damaged_archive_is_refused_or_harmless(data: st.DataObject) -> None:
    """Some bytes are not looked at (dates, versions); whatever they say, the content is what was packed."""
    with folder() as here:
        files = {"job.toml": b"x" * 40, "a/b.py": b"y" * 300}
        content = bytearray(make_zip(here / "z", [Entry(n, c, deflated=True) for n, c in files.items()]).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.none() | st.integers(0, len(content)))
        (here / "z").write_bytes(content[:cut])
        (here / "box").mkdir()
        try:
            unpack(here / "z", here / "box" / "out", Limits(total=10_000))
        except BadInput:
            assert list((here / "box").iterdir()) == []
        else:
            assert sorted(tree(here / "box" / "out").values()) == sorted(files.values())


@given(st.binary(max_size=300) | st.text(st.sampled_from("[]{}=.\"'\\#\n ab1-"), max_size=60).map(str.encode))
def test_bytes_that_are_no_job_are_refused_and_nothing_else(content: bytes) -> None:
    with folder() as here, pytest.raises(BadInput) as caught:
        read_job(fill(here, {"job.toml": content}))
    assert "job.toml" in str(caught.value)


WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="ascii", exclude_characters="\x7f")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
SERVERS = st.fixed_dictionaries(
    {"num_rounds": st.integers(0, 2**31 - 1), "min_clients": st.integers(1, 50), "max_clients": st.integers(50, 10**6)},
    optional={
        "start_round": st.integers(0, 2**31 - 1),
        "wait_after_min_clients": st.floats(0, 1e6),
        "round_timeout": st.floats(0, 1e6),
        "weigh_by": st.sampled_from(["samples", "steps", "equal"]),
        "best_metric": WORDS,
        "final_validation": st.booleans(),
        "seed": st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=30),
        "keep_updates": st.integers(0, 100),
    },
)


def toml(values: dict[str, Any]) -> str:
    """What JSON and TOML write alike: text, numbers, booleans, lists."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


@given(SERVERS, st.dictionaries(WORDS, VALUES, max_size=4), st.integers(0, 100))
def test_a_job_says_what_was_written(server: dict[str, Any], args: dict[str, Any], attempts: int) -> None:
    sections = {
        "server": f"[server]\n{toml(server)}",
        "model": f'[model]\nfunction = "a.b:c"\n[model.args]\n{toml(args)}',
        "client": f'[client]\ntrainer = "sklearn"\nattempts = {attempts}\n',
    }
    with folder() as here:
        job = read_job(make_job(here, **sections))
    assert {key: getattr(job.server, key) for key in server} == server
    assert job.model.args == args
    assert job.client.attempts == attempts
    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job
