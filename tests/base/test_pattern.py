"""A pattern means what it means in Python's ``re``, and is never slower than the line is long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import BadInput
from rondo.base.pattern import LONGEST, Pattern

LETTERS = "abAB1_ .-"

ATOMS = st.sampled_from(
    ["a", "b", "A", "1", ".", r"\d", r"\w", r"\S", r"\.", "[ab]", "[^a]", "[a-c1]", r"[\d_]", "[]a]", "[^]a]", "^", "$",
     "_", " ", "-", "é", ""]
)  # fmt: skip
TIMES = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "{0}", "*?", "+?", "??", "{1,2}?"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
        st.tuples(inner, TIMES).map(lambda both: f"(?:{both[0]}){both[1]}"),
        st.lists(inner, min_size=2, max_size=3).map("|".join),
    ),
    max_leaves=8,
)


@given(
    text=PATTERNS,
    lines=st.lists(st.text(LETTERS + "é", max_size=12), min_size=1, max_size=8),
    ignore_case=st.booleans(),
)
def test_it_finds_what_re_finds(text: str, lines: list[str], ignore_case: bool) -> None:
    """Our own automaton against Python's: the same pattern, line after line, so that what it keeps is used again."""
    try:
        mine = Pattern(text, ignore_case=ignore_case)
    except BadInput as error:
        assert "too large" in error.what or len(text) > LONGEST
        return
    theirs = re.compile(text, re.IGNORECASE if ignore_case else re.NOFLAG)
    for line in lines:
        assert mine.found_in(line) == bool(theirs.search(line)), (text, line)


@pytest.mark.parametrize("text", ["(a+)+$", "^(a|a)*$", "(a*)*b", ".*.*.*.*b", "(a|aa)+$", "a?" * 30 + "a" * 30])
def test_no_pattern_takes_longer_than_the_line_is_long(text: str) -> None:
    """``re`` would not come back from these in a lifetime; the letters of this line are more than it has seconds."""
    assert Pattern(text).found_in("a" * 50_000 + "c") == (text.startswith("a?"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(", "pattern: a ( that is not closed, at letter 1"),
        ("a)", "pattern: a ) that closes nothing, at letter 2"),
        ("[a", "pattern: a [ that is not closed, at letter 2"),
        ("[b-a]", "bad character range b-a"),
        ("[[:alpha:]]", "a set that is not understood"),
        ("*", "pattern: * repeats nothing, at letter 1"),
        ("a|+", "+ repeats nothing"),
        ("a**", "a repetition of a repetition"),
        ("a{2}{3}", "a repetition of a repetition"),
        ("a{3,2}", "a repetition that cannot be"),
        ("a{101}", "a repetition that cannot be (at most 100 times)"),
        ("\\", "is not known"),
        (r"\bword", r"\b is not known"),
        (r"(a)\1", r"\1 is not known"),
        ("(?=a)", "(? is not known"),
        ("(?P<n>a)", "(? is not known"),
        ("(" * 31 + ")" * 31, "brackets too deep in brackets"),
        ("((a{100}){100}){100}", "the pattern is too large"),
        ("(((()){100}){100}){100}", "the pattern is too large"),
        ("a" * 201, "a pattern of 201 letters"),
    ],
)
def test_what_is_no_pattern_is_told(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Pattern(text)
    assert said in caught.value.what


@given(text=st.text(max_size=12) | st.text("ab()[]{}*+?|^$\\-,1.", max_size=12))
def test_whatever_is_typed_is_a_pattern_or_refused(text: str) -> None:
    try:
        Pattern(text).found_in("ab1")
    except BadInput:
        return


def test_many_different_letters_do_not_fill_the_memory() -> None:
    """What is kept of an automaton is made anew; what it finds stays the same."""
    pattern = Pattern("(x|[^a]{3}y)$")
    for first in range(0x4E00, 0x9000, 50):
        line = "".join(chr(first + number) for number in range(50))
        assert pattern.found_in(line + "y") and not pattern.found_in(line + "a")
