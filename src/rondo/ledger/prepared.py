"""A statement that rounds execute again and again: compiled once, then given to the driver itself.

SQLite answers a short question in 5 microseconds and SQLAlchemy asks it in 30, in a busy server in more than 100. What
SQLAlchemy knows is used once for each kind of database: the text, what becomes of values on their way in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from rondo.ledger.ledger import Tx

_Change = Callable[[Any], Any]
Row = tuple[Any, ...]


@dataclass
class _Plan:
    """``names``: of the values in the order of the text's marks, None where the text has their names itself."""

    text: str
    names: Sequence[str] | None
    constants: Mapping[str, Any]
    inward: Mapping[str, _Change]
    kinds: Sequence[Any]  # of the columns
    error: type[Exception]  # that the driver raises
    outward: dict[int, _Change] | None = field(default=None)  # by place; known when the driver has named its types

    def values(self, given: Mapping[str, Any]) -> Any:
        values = {**self.constants, **given}
        for name, change in self.inward.items():
            values[name] = change(values[name])
        return values if self.names is None else [values[name] for name in self.names]

    def learn(self, dialect: Dialect, columns: Sequence[Sequence[Any]]) -> None:
        changes = [kind.result_processor(dialect, column[1]) for kind, column in zip(self.kinds, columns, strict=False)]
        self.outward = {place: change for place, change in enumerate(changes) if change}

    def row(self, found: Sequence[Any]) -> Row:
        values = list(found)
        for place, change in (self.outward or {}).items():
            values[place] = change(values[place])
        return tuple(values)


class Prepared:
    """``statement`` with the values that ``bindparam`` names. Rows are tuples, in the order of its columns.

    What the driver raises is a ``DBAPIError``, as everywhere in the ledger. (Instead of ``IN`` it has an ``or_``.)
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._plans: dict[str, _Plan] = {}

    def first(self, tx: Tx, **values: Any) -> Row | None:
        plan, cursor = self._execute(tx, values)
        found = cursor.fetchone()
        cursor.close()
        return None if found is None else plan.row(found)

    def rows(self, tx: Tx, **values: Any) -> list[Row]:
        plan, cursor = self._execute(tx, values)
        found = cursor.fetchall()
        cursor.close()
        return [plan.row(one) for one in found]

    def run(self, tx: Tx, **values: Any) -> int:
        """How many rows were changed."""
        _, cursor = self._execute(tx, values)
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def _execute(self, tx: Tx, values: Mapping[str, Any]) -> tuple[_Plan, Any]:
        plan = self._plans.get(tx.dialect.name) or self._plan(tx.dialect)
        cursor: Any = tx.connection.cursor()
        given = plan.values(values)
        try:
            cursor.execute(plan.text, given)
        except plan.error as error:
            cursor.close()
            raise DBAPIError.instance(plan.text, given, error, plan.error, dialect=tx.dialect) from error
        if plan.outward is None:
            plan.learn(tx.dialect, cursor.description or ())
        return plan, cursor

    def _plan(self, dialect: Dialect) -> _Plan:
        made: Any = self._statement.compile(dialect=dialect)
        inward = {
            name: bound.type.dialect_impl(dialect).bind_processor(dialect) for bound, name in made.bind_names.items()
        }
        plan = self._plans[dialect.name] = _Plan(
            made.string,
            made.positiontup if made.positional else None,
            {name: value for name, value in made.params.items() if value is not None},
            {name: change for name, change in inward.items() if change},
            [column.type.dialect_impl(dialect) for column in getattr(self._statement, "exported_columns", ())],
            dialect.loaded_dbapi.Error,
        )
        return plan
