"""JSON with places: what is no JSON is told at line and column, what is has its place everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.jobs.placed import read_placed


def test_every_value_knows_its_place(tmp_path: Path) -> None:
    text = '{\n  "a": [1, {"b": "x"}],\n\t"c": true, "d": null, "e": -2.5e1\n}\n'
    (tmp_path / "a.json").write_text(text)
    root = read_placed(tmp_path / "a.json", "config/a.json").root
    assert root.plain() == {"a": [1, {"b": "x"}], "c": True, "d": None, "e": -25.0}
    assert str(root.place) == "config/a.json:1:1"
    assert str(root.table["a"].items[1].table["b"].place) == "config/a.json:2:18"
    assert str(root.table["c"].place) == "config/a.json:3:7"
    assert root.get("z") is None
    assert root.table["c"].get("z") is None


def test_of_a_key_that_is_there_twice_the_last_counts(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1,\n "a": 2}')
    document = read_placed(tmp_path / "a.json", "a.json")
    assert document.root.plain() == {"a": 2}
    assert [(key, str(place)) for key, place in document.repeated] == [("a", "a.json:2:2")]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_placed(tmp_path / "a.json", "a.json").root.plain() == {"a": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a.json:1:1: the file ends too soon"),
        ('{"a": 1,}', "a.json:1:8: a comma before '}'"),
        ("[1,\n 2 3]", "a.json:2:4: expected ',' or ']'"),
        ('{"a" 1}', "a.json:1:6: expected ':' after the key 'a'"),
        ("{a: 1}", "a.json:1:2: expected a key in double quotes"),
        ("{'a': 1}", "a.json:1:2: expected a key in double quotes"),
        ('{"a": "x\ny"}', "a.json:1:9: invalid control character"),
        ('{"a": "x', "a.json:1:7: unterminated string"),
        ("[NaN]", "a.json:1:2: expected a value"),
        ("[1e999]", "a.json:1:2: a number too large"),
        ("[" + "1" * 500 + "]", "a.json:1:2: a number of absurd length"),
        ('["\\ud800"]', "a.json:1:2: half of a surrogate pair"),
        ("{} // so", "a.json:1:4: there is more after the end"),
        ("[" * 100, "a.json:1:66: nested more than 64 deep"),
    ],
)
def test_what_is_no_json_is_told_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput) as caught:
        read_placed(tmp_path / "a.json", "a.json")
    assert str(caught.value).startswith(says)


def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(BadInput, match=r"a\.json:2: not UTF-8 text"):
        read_placed(tmp_path / "a.json", "a.json")
    with pytest.raises(BadInput, match="larger than 5 bytes"):
        read_placed(tmp_path / "a.json", "a.json", 5)


def test_a_table_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"a": "text"}]')
    root = read_placed(tmp_path / "a.json", "a.json").root
    with pytest.raises(BadInput, match=r"a\.json:1:1: expected \{...\}, got \[...\]"):
        _ = root.table
    with pytest.raises(BadInput, match=r"a\.json:1:8: expected \[...\], got text"):
        _ = root.items[0].table["a"].items
