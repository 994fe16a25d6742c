"""Codecs over any tensors: lossless is every bit, int8 keeps its bound, feedback loses nothing in the long run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.base.errors import BadInput
from rondo.base.rooms import names
from rondo.codecs.coding import CodedCheck, Feedback, decode, encode
from rondo.codecs.seam import build_codec
from rondo.tensors.dtypes import numpy_dtype
from rondo.tensors.files import TensorFile, write_tensors
from rondo.tensors.layout import Spec, read_layout
from tests.tensors.models import DTYPES, model, save, schemas

CODECS = names("rondo.codecs")


@given(st.sampled_from(DTYPES), st.binary(min_size=8, max_size=400), st.integers(1, 5))
def test_planes_lose_no_bit(dtype: str, content: bytes, level: int) -> None:
    """Whatever the bytes are: NaN with a payload, a bool that is 7."""
    kind = numpy_dtype(dtype)
    flat = np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)
    codec = build_codec("planes", {"level": level})
    back = codec.decode(codec.encode(flat, dtype), dtype, len(flat))
    assert back.tobytes() == flat.tobytes() and back.dtype == kind


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=60), st.integers(8, 20))
def test_int8_is_off_by_half_a_step_at_most(values: list[float], block: int) -> None:
    flat, codec = np.array(values), build_codec("int8", {"block": block})
    back = codec.decode(codec.encode(flat, "F64"), "F64", len(flat))
    for start in range(0, len(flat), block):
        part, largest = slice(start, start + block), np.abs(flat[start : start + block]).max()
        step = max(largest / 127, 2**-149)  # below that there is no float32
        assert (np.abs(back[part] - flat[part]) <= 0.5 * step * (1 + 2**-15) + 127 * 2**-149).all()


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=60), st.floats(0.01, 0.5))
def test_topk_sends_none_smaller_than_what_it_keeps(values: list[float], fraction: float) -> None:
    flat, codec = np.array(values), build_codec("topk", {"fraction": fraction})
    back = codec.decode(codec.encode(flat, "F64"), "F64", len(flat))
    sent = back != 0
    assert (back[sent] == flat[sent]).all()
    if sent.any() and not sent.all():
        assert np.abs(flat[sent]).min() >= np.abs(flat[~sent]).max()


@given(st.data())
@settings(max_examples=40)
def test_what_is_sent_and_what_is_still_lost_is_all_there_was(data: st.DataObject) -> None:
    """Error feedback: over rounds, sum of the decoded = sum of the updates - the last loss, to rounding."""
    name = data.draw(st.sampled_from([one for one in CODECS if build_codec(one, {}).feedback]))
    count = data.draw(st.integers(1, 40))
    rounds = data.draw(st.lists(st.integers(0, 2**32), min_size=1, max_size=12))
    codec = build_codec(name, {})
    sent, wanted = np.zeros(count), np.zeros(count)
    with TemporaryDirectory() as name_:
        folder, before = Path(name_), None
        for number, seed in enumerate(rounds):
            update = np.random.default_rng(seed).normal(size=count)
            source = write_tensors(folder / "source", {"w": update}).path
            after = folder / f"after-{number}"
            coded = encode(codec, source, folder / "coded", Feedback(before, after)).path
            with TensorFile(decode(codec, coded, folder / "plain").path) as file:
                sent += file["w"]
            wanted += update
            before = after
        assert before is not None
        with TensorFile(before) as file:
            assert np.allclose(sent + file["w"], wanted, rtol=0, atol=1e-12 * len(rounds))
            # The loss does not grow with the rounds: what waits is sent in the end.
            assert np.abs(file["w"]).max() < 5.0 * (1 if name == "int8" else count)


@given(schemas, st.sampled_from(CODECS), st.integers(0, 2**32))
@settings(max_examples=60)
def test_any_model_comes_back_in_its_layout(schema: list[Spec], name: str, seed: int) -> None:
    codec = build_codec(name, {})
    with TemporaryDirectory() as name_:
        folder = Path(name_)
        source = save(folder / "source", schema, model(schema, seed))
        feedback = Feedback(None, folder / "after") if codec.feedback else None
        coded = encode(codec, source.path, folder / "coded", feedback)
        check = CodedCheck(codec, read_layout(source.path), frozenset(), "update")
        check.feed(coded.path.read_bytes())
        check.finish()
        plain = decode(codec, coded.path, folder / "plain")
        assert read_layout(plain.path) == read_layout(source.path)
        assert not codec.lossless or plain.digest == source.digest


@pytest.mark.parametrize("name", CODECS)
@given(st.data())
@settings(max_examples=100)
def test_damage_is_refused_or_harmless(name: str, data: st.DataObject) -> None:
    """No byte that is changed makes the check raise anything but ``BadInput``; what passes can be decoded."""
    codec = build_codec(name, {})
    schema: list[Spec] = [("w", "F32", (40,)), ("n", "I64", (2,)), ("h", "F16", (3,))]
    with TemporaryDirectory() as name_:
        folder = Path(name_)
        source = save(folder / "source", schema, model(schema, 1)).path
        feedback = Feedback(None, folder / "after") if codec.feedback else None
        content = bytearray(encode(codec, source, folder / "coded", feedback).path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        check = CodedCheck(codec, read_layout(source), frozenset(), "update")
        try:
            check.feed(bytes(content))
            check.finish()
        except BadInput:
            return
        (folder / "coded").write_bytes(content)
        plain = decode(codec, folder / "coded", folder / "plain").path
        with TensorFile(plain) as file:
            assert all(np.isfinite(file[key]).all() for key in ("w", "h"))
