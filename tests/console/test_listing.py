"""Lists that show themselves."""

from __future__ import annotations

import sys

import pytest

from rondo.base.errors import BadInput
from rondo.console.listing import Listing


def listing() -> Listing[tuple[str, object]]:
    return Listing([("<script>", 1), ("a\x1b[2Jb & c", None), ("bb", 2.5)], ("<name>", "value"), list)


def test_it_is_a_sequence() -> None:
    found = listing()
    assert len(found) == 3 and found[0] == ("<script>", 1) and found[-1] == ("bb", 2.5)
    assert [name for name, _ in found[1:]] == ["a\x1b[2Jb & c", "bb"]
    assert isinstance(found[1:], Listing)


def test_what_sites_wrote_is_text_in_a_notebook_and_in_a_terminal() -> None:
    assert listing()._repr_html_() == (
        "<table><thead><tr><th>&lt;name&gt;</th><th>value</th></tr></thead><tbody>"
        "<tr><td>&lt;script&gt;</td><td>1</td></tr><tr><td>ab &amp; c</td><td></td></tr>"
        "<tr><td>bb</td><td>2.5</td></tr></tbody></table>"
    )
    assert "\x1b" not in repr(listing()) and "| <NAME>" in repr(listing())


def test_it_is_a_frame_where_there_is_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = listing().frame()
    assert list(frame.columns) == ["<name>", "value"] and frame["value"].tolist()[::2] == [1, 2.5]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BadInput, match="needs pandas"):
        listing().frame()
