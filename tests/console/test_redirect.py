"""Redirection as spec 7.1 has it: no blank before the file name, only one, and nothing that is quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.base.errors import BadInput, NoSpace
from rondo.console.output import Output
from rondo.console.redirect import Redirect, redirected


@pytest.mark.parametrize(
    ("line", "rest", "redirect"),
    [
        ("check_status server >a.txt", "check_status server", Redirect("a.txt", show=True, add=False)),
        ("check_status server >>a.txt", "check_status server", Redirect("a.txt", show=False, add=True)),
        ('cat >"my file" server log.txt', "cat   server log.txt", Redirect("my file", show=True, add=False)),
        ("grep server '>loss' log.txt", "grep server '>loss' log.txt", None),
        ('grep server a\\ ">" log.txt', 'grep server a\\ ">" log.txt', None),
        ("grep server a>b log.txt", "grep server a>b log.txt", None),
        ("", "", None),
    ],
)
def test_what_a_line_redirects(line: str, rest: str, redirect: Redirect | None) -> None:
    assert redirected(line) == (rest, redirect)


@pytest.mark.parametrize("line", ["ls > a", "ls >", "ls >>", "ls >>>a", "ls >''", "ls >a >b", "ls >a >>a"])
def test_what_is_no_redirection_is_refused(line: str) -> None:
    with pytest.raises(BadInput, match="syntax error"):
        redirected(line)


@given(line=st.text(alphabet=" >a'\"\\b", max_size=12))
def test_any_line_is_understood_or_refused(line: str) -> None:
    try:
        rest, redirect = redirected(line)
    except BadInput:
        return
    assert redirect is not None or rest == line
    assert redirect is None or (redirect.path and len(rest) < len(line) + 1)


def test_where_the_words_go(tmp_path: object) -> None:
    shown: list[str] = []
    for path, show, add in ((f"{tmp_path}/a", True, False), (f"{tmp_path}/a", False, True)):
        out = Output(shown.append, Redirect(path, show=show, add=add))
        out.write("a line")
        out.trouble("Error: x")
        out.close()
    assert shown == ["a line", "Error: x", "Error: x"]
    with open(f"{tmp_path}/a", encoding="utf-8") as file:
        assert file.read() == "a line\nError: x\n" * 2
    with pytest.raises(BadInput, match="cannot write there"):
        Output(shown.append, Redirect(f"{tmp_path}/nowhere/a", show=True, add=False))
    full = Output(shown.append, Redirect("/dev/full", show=True, add=False))
    full.write("x")
    with pytest.raises(NoSpace, match="/dev/full"):
        full.close()
