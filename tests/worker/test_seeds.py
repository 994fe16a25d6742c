"""Seeds depend on every part and on nothing else; the same on every machine and in every version."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rondo.jobs.task import derive_seed

PARTS = st.lists(st.text(max_size=4) | st.integers(0, 99), min_size=1, max_size=3)


def test_the_numbers_never_change() -> None:
    assert derive_seed("7", "site-1", 3) == 6835124232674018210


@given(PARTS, PARTS)
def test_other_parts_give_other_seeds(one: list[str | int], other: list[str | int]) -> None:
    first, second = derive_seed("run", *one), derive_seed("run", *other)
    assert 0 <= first < 2**63
    assert (first == second) == ([str(part) for part in one] == [str(part) for part in other])


def test_where_one_part_ends_matters() -> None:
    assert len({derive_seed("ab", "c"), derive_seed("a", "bc"), derive_seed("abc"), derive_seed("ab", "c", "")}) == 4
