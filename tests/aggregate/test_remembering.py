"""Rules that look at whole updates, and rules that remember, over files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rondo.aggregate.folding import Folded, Memories, Way, fold
from rondo.aggregate.seam import Contribution, Rule, build_rule
from rondo.base.errors import BadInput
from rondo.tensors.dtypes import Array
from rondo.tensors.files import TensorFile, write_tensors

MOMENTUM = build_rule("fedopt", {"variant": "momentum", "learning_rate": 1.0, "beta1": 0.5})
KRUM = build_rule("krum", {})


def read(path: Path) -> dict[str, Array]:
    with TensorFile(path) as file:
        return {name: array.copy() for name, array in file.items()}


def sent(folder: Path, site: str, arrays: dict[str, Array], kind: str = "weights", omitted: str = "") -> Contribution:
    path = write_tensors(folder / site, arrays).path
    return Contribution(site, path, kind, 1.0 + len(site), frozenset(omitted.split()))  # type: ignore[arg-type]


def rounds(folder: Path, rule: Rule, base: Path, updates: list[Contribution], number: int = 2) -> list[Folded]:
    """So many rounds, each of these updates, each from the model and the memory of the one before."""
    made: list[Folded] = []
    for place in range(number):
        before = made[-1].memory.path if made and made[-1].memory else None
        memories = Memories(before, folder / f"memory{place}")
        base = made[-1].model.path if made else base
        made.append(fold(base, updates, rule, folder / f"model{place}", memories))
    return made


def test_a_step_starts_from_the_base_and_what_was_remembered(tmp_path: Path) -> None:
    base = write_tensors(tmp_path / "base", {"w": np.array([1.0, 10.0], np.float32), "n": np.array(4)}).path
    diff = sent(tmp_path, "a", {"w": np.array([2.0, -4.0], np.float32), "n": np.array(1)}, "diff")
    made = rounds(tmp_path, MOMENTUM, base, [diff])
    assert read(made[0].model.path)["w"].tolist() == [3.0, 6.0]  # m = 2, -4
    assert read(made[1].model.path)["w"].tolist() == [6.0, 0.0]  # m = 1 + 2, -2 - 4
    assert made[1].memory is not None
    memory = read(made[1].memory.path)
    assert list(memory) == ["w"] and memory["w"].tolist() == [[3.0], [-6.0]] and memory["w"].dtype == np.float32
    assert read(made[1].model.path)["n"] == 6  # counters stay counters


def test_full_weights_and_differences_step_alike(tmp_path: Path) -> None:
    base = write_tensors(tmp_path / "base", {"w": np.array([1.0, 10.0])}).path
    diff = sent(tmp_path, "a", {"w": np.array([2.0, -4.0])}, "diff")
    full = sent(tmp_path, "b", {"w": np.array([3.0, 6.0])})
    for updates in ([diff], [full], [diff, full]):
        assert read(rounds(tmp_path, MOMENTUM, base, updates, 1)[0].model.path)["w"].tolist() == [3.0, 6.0]


def test_what_nobody_sent_is_kept_and_so_is_what_is_remembered_of_it(tmp_path: Path) -> None:
    arrays = {"a": np.array([1.0]), "b": np.array([2.0], np.float16)}
    base = write_tensors(tmp_path / "base", arrays).path
    both = sent(tmp_path, "x", {"a": np.array([3.0]), "b": np.array([4.0], np.float16)})
    one = sent(tmp_path, "y", {"a": np.array([3.0])}, omitted="b")
    first = fold(base, [both], MOMENTUM, tmp_path / "m0", Memories(None, tmp_path / "k0"))
    second = fold(first.model.path, [one], MOMENTUM, tmp_path / "m1", Memories(tmp_path / "k0", tmp_path / "k1"))
    assert read(second.model.path)["b"].tolist() == [4.0]
    kept = read(tmp_path / "k1")
    assert kept["b"].tolist() == [[2.0]] and kept["b"].dtype == np.float32
    assert kept["a"].tolist() == [[1.0]] and kept["a"].dtype == np.float64


def test_a_memory_of_another_rule_or_model_is_refused(tmp_path: Path) -> None:
    base = write_tensors(tmp_path / "base", {"w": np.zeros(2)}).path
    update = sent(tmp_path, "a", {"w": np.ones(2)})
    other = write_tensors(tmp_path / "other", {"w": np.zeros((2, 2))}).path
    with pytest.raises(BadInput, match="other: is not what this rule remembers of this model"):
        fold(base, [update], MOMENTUM, tmp_path / "out", Memories(other, tmp_path / "after"))
    with pytest.raises(BadInput, match="was given no file"):
        fold(base, [update], MOMENTUM, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "after").exists()


def test_a_memory_that_overflows_names_who_made_it(tmp_path: Path) -> None:
    base = write_tensors(tmp_path / "base", {"w": np.zeros(3, np.float32)}).path
    update = sent(tmp_path, "a", {"w": np.array([0, 0, 1e20], np.float32)})
    adagrad = build_rule("fedopt", {"variant": "adagrad"})  # its square is 1e40
    with pytest.raises(BadInput, match=r"tensor 'w' becomes too large for F32 at flat index 2; .* a \(1e\+20\)"):
        fold(base, [update], adagrad, tmp_path / "out", Memories(None, tmp_path / "after"))
    assert not (tmp_path / "out").exists() and not (tmp_path / "after").exists()


def test_krum_leaves_out_the_stranger_and_says_so(tmp_path: Path) -> None:
    base = write_tensors(tmp_path / "base", {"w": np.zeros(100, np.float32), "b": np.zeros(3)}).path
    values = zip("abcde", (1.0, 1.5, -50.0, 1.25, 1.375), ("diff", "weights", "diff", "diff", "weights"), strict=True)
    updates = [
        sent(tmp_path, site, {"w": np.full(100, value, np.float32), "b": np.full(3, value)}, kind)
        for site, value, kind in values
    ]
    made = fold(base, updates, KRUM, tmp_path / "out")
    assert set(read(made.model.path)["w"]) == {np.float32(1.375)}
    assert made.weights == {"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0, "e": 1.0}
    two = fold(base, updates, build_rule("krum", {"keep": 2}), tmp_path / "out")
    assert set(read(two.model.path)["w"]) == {np.float32(1.4375)} and two.weights["b"] == two.weights["e"] == 1.0
    with pytest.raises(BadInput, match="needs 5 updates, this round has 4"):
        fold(base, updates[:4], KRUM, tmp_path / "out")


def test_for_krum_a_tensor_kept_at_home_did_not_change(tmp_path: Path) -> None:
    """Who omits everything is as far from the others as the model they started from; nobody hides by omitting."""
    base = write_tensors(tmp_path / "base", {"w": np.full(4, 10.0), "v": np.zeros(2)}).path
    updates = [
        sent(tmp_path, site, {"w": np.full(4, 13.0 + place), "v": np.zeros(2)}) for place, site in enumerate("bcde")
    ]
    quiet = sent(tmp_path, "a", {"v": np.zeros(2)}, omitted="w")
    made = fold(base, [quiet, *updates], KRUM, tmp_path / "out")
    assert made.weights["c"] == 1.0 and read(made.model.path)["w"].tolist() == [14.0] * 4


def test_an_update_that_is_not_finite_is_named_before_anybody_is_chosen(tmp_path: Path) -> None:
    base = write_tensors(tmp_path / "base", {"w": np.zeros(4)}).path
    updates = [sent(tmp_path, site, {"w": np.full(4, 1.0)}) for site in "abcd"]
    bad = sent(tmp_path, "e", {"w": np.array([0, 0, np.inf, 0])})
    with pytest.raises(BadInput, match=r"update of e: tensor 'w' holds NaN or infinity .*index 2\)"):
        fold(base, [*updates, bad], KRUM, tmp_path / "out")


@pytest.mark.parametrize("variant", ["adam", "yogi", "adagrad", "momentum"])
def test_a_round_that_is_folded_again_gives_the_same_bits(tmp_path: Path, variant: str) -> None:
    """As after a kill: from the same model and memory, whatever lies where the result goes."""
    rng = np.random.default_rng(5)
    base = write_tensors(
        tmp_path / "base", {"w": rng.normal(size=999).astype(np.float32), "b": rng.normal(size=9)}
    ).path
    updates = [
        sent(tmp_path, site, {"w": rng.normal(size=999).astype(np.float32), "b": rng.normal(size=9)}, "diff")
        for site in "abc"
    ]
    rule = build_rule("fedopt", {"variant": variant})
    made = rounds(tmp_path, rule, base, updates, 3)
    memories = Memories(tmp_path / "memory1", tmp_path / "memory2")
    again = fold(tmp_path / "model1", updates[::-1], rule, tmp_path / "model2", memories, Way(segment_bytes=100))
    assert again == replace(made[2], weights=again.weights) and again.weights == made[2].weights
