"""Lists that show themselves: a table in a notebook and in a terminal, a sequence in a program."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from rondo.base.errors import BadInput
from rondo.commands.rows import Table
from rondo.console.draw import as_text
from rondo.console.telling import clean

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")


class Listing(Sequence[T], Generic[T]):
    """``items``, each shown as a row of ``cells`` under ``head``.

    In a notebook it is a table, whose text is escaped: sites write some of it.
    """

    def __init__(self, items: Sequence[T], head: Sequence[str], cells: Callable[[T], Sequence[object]]) -> None:
        self._items = tuple(items)
        self._head = tuple(head)
        self._cells = cells

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Listing[T]: ...
    def __getitem__(self, index: int | slice) -> T | Listing[T]:
        if isinstance(index, slice):
            return Listing(self._items[index], self._head, self._cells)
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return as_text(Table(list(self._head), self._rows()))

    def _repr_html_(self) -> str:
        return html_table(self._head, self._rows())

    def frame(self) -> pandas.DataFrame:
        """The rows as a pandas ``DataFrame``. Raises ``BadInput`` where there is no pandas."""
        if not has_pandas():
            raise BadInput("a DataFrame needs pandas", hint="pip install pandas")
        import pandas  # noqa: PLC0415 - heavy, and only for who wants it

        return pandas.DataFrame(self._rows(), columns=list(self._head))

    def _rows(self) -> list[list[Any]]:
        return [list(self._cells(item)) for item in self._items]


def has_pandas() -> bool:
    """Whether pandas is installed."""
    return importlib.util.find_spec("pandas") is not None


def html_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for a page. Every text is escaped, and cut to one printable line."""
    top = "".join(f"<th>{_cell(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return html.escape("" if value is None else clean(str(value)))
