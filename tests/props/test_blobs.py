"""A store in random use: it has what was adopted and not deleted, byte for byte, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import NotFound
from rondo.base.rooms import names
from rondo.tensors.digest import Hasher, file_digest
from tests.contract.test_blobs import build


def file_digest_of(content: bytes) -> str:
    hasher = Hasher()
    hasher.update(content)
    return hasher.digest()


STEPS = st.lists(st.tuples(st.sampled_from(["adopt", "adopt", "delete", "reopen"]), st.sampled_from([b"", b"a", b"b"])))


@pytest.mark.parametrize("name", names("rondo.blobs"))
@given(steps=STEPS)
def test_a_store_has_what_was_adopted_and_not_deleted(name: str, steps: list[tuple[str, bytes]]) -> None:
    has: set[bytes] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = build(name, folder)
        for what, content in steps:
            path = folder / "arrived"
            path.write_bytes(content)
            digest = file_digest(path).digest
            if what == "adopt":
                store.adopt(path, digest)
                has.add(content)
            elif what == "delete":
                assert store.delete(digest) == (len(content) if content in has else 0)
                has.discard(content)
            else:
                store = build(name, folder)
            assert path.exists() == (what != "adopt")
            assert dict(store.held()) == {file_digest_of(content): len(content) for content in has}
            try:
                assert store.local(digest).read_bytes() == content and content in has
            except NotFound:
                assert content not in has
