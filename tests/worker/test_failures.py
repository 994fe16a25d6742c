"""A failure names the user's own file and line, whatever lies between."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from rondo.base.errors import BadInput
from rondo.worker.failures import failure


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import json\nfrom rondo.base.errors import BadInput\n"
        "def load():\n    return json.loads('{')\n"
        "def deep(n):\n    return deep(n - 1) if n else 1 / 0\n"
        "def ours():\n    raise BadInput('no', where='here', hint='mend it')\n"
        "def chained():\n    try:\n        deep(0)\n"
        "    except ZeroDivisionError as error:\n        raise KeyError('x') from error\n"
        "def evaluated():\n    eval('1 +')\n"
        "def lines():\n    raise RuntimeError('first\\nsecond')\n"
        "def silent():\n    raise RuntimeError\n"
        "class Odd(Exception):\n    def __str__(self): return 1 / 0\n"
        "def odd():\n    raise Odd\n"
        "def bytes():\n    raise OSError('file \\udcff')\n"
        "def long():\n    raise RuntimeError('x' * 200_000)\n"
    )
    yield importlib.import_module("mine")
    sys.modules.pop("mine")


def _fails(module: ModuleType, name: str, code: Path | None, *args: object) -> dict[str, object]:
    try:
        getattr(module, name)(*args)
    except BaseException as error:  # noqa: BLE001
        told = failure(error, code)
        assert msgspec.json.decode(msgspec.json.encode(told)) == told
        return told
    raise AssertionError(f"{name} did not fail")


def test_the_innermost_frame_of_the_job_counts(module: ModuleType, tmp_path: Path) -> None:
    told = _fails(module, "load", tmp_path)
    assert (
        told["error"]
        == "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )
    assert (told["file"], told["line"], told["kind"]) == ("mine.py", 4, "")
    text = str(told["traceback"])
    assert "_fails" not in text and "decoder.py" in text and text.count("mine.py") == 1


def test_without_a_job_the_innermost_frame_counts(module: ModuleType, tmp_path: Path) -> None:
    told = _fails(module, "load", None)
    assert str(told["file"]).endswith("decoder.py") and "_fails" in str(told["traceback"])


def test_the_traceback_begins_at_the_first_frame_of_the_job(module: ModuleType, tmp_path: Path) -> None:
    told = _fails(module, "deep", tmp_path, 2)
    assert str(told["traceback"]).count("in deep") == 3 and told["line"] == 6


def test_a_rondo_error_raised_in_user_code_keeps_its_place(module: ModuleType, tmp_path: Path) -> None:
    told = _fails(module, "ours", tmp_path)
    assert (told["error"], told["kind"]) == ("here: no (mend it)", "BadInput")
    assert (told["file"], told["line"]) == ("mine.py", 8)


def test_a_rondo_error_of_ours_needs_no_traceback(tmp_path: Path) -> None:
    told = failure(BadInput("no", where="here"), tmp_path)
    assert told == {"error": "here: no", "kind": "BadInput", "traceback": "", "file": "", "line": 0}


def test_causes_are_in_the_traceback(module: ModuleType, tmp_path: Path) -> None:
    told = _fails(module, "chained", tmp_path)
    assert told["error"] == "KeyError: 'x'" and told["line"] == 13
    assert "ZeroDivisionError" in str(told["traceback"]) and "direct cause" in str(told["traceback"])


def test_a_syntax_error_without_a_file_is_where_it_was_evaluated(module: ModuleType, tmp_path: Path) -> None:
    told = _fails(module, "evaluated", tmp_path)
    assert told["error"] == "SyntaxError: invalid syntax" and (told["file"], told["line"]) == ("mine.py", 15)


def test_one_line_is_one_line(module: ModuleType, tmp_path: Path) -> None:
    assert _fails(module, "lines", tmp_path)["error"] == "RuntimeError: first"
    assert _fails(module, "silent", tmp_path)["error"] == "RuntimeError"
    assert str(_fails(module, "odd", tmp_path)["error"]).startswith("mine.Odd: <exception str() failed>")
    assert _fails(module, "bytes", tmp_path)["error"] == "OSError: file ?"
    told = _fails(module, "long", tmp_path)
    assert len(str(told["error"])) < 2100 and len(str(told["traceback"])) < 70_000
    assert "[... cut ...]" in str(told["traceback"])
