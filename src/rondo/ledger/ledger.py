"""The door to the database: one thread, one transaction at a time, errors in our own words.

Operations are plain functions ``(tx, ...) -> value`` in the modules beside this one; ``await ledger.do(function,
...)`` runs one inside a transaction. SQLite (WAL) by default, any SQLAlchemy URL otherwise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import SingletonThreadPool

from rondo.base.errors import BadInput, Conflict, LedgerBusy, NoSpace, RondoError
from rondo.ledger import tables
from rondo.ledger.thread import OneThread

P = ParamSpec("P")
T = TypeVar("T")
Tx = Connection

SCHEMA = "5"
BUSY_SECONDS = 5.0
PAGES_KIB = 512  # of SQLite's own page cache, which a short run fills: the system keeps the file's pages as well
HELD_SECONDS = 0.1  # after one waited in vain; or the calls behind it would wait for the sum of all their patience

# What SQLite calls the faults of a disk, and those of a file that is no ledger (any more).
_UNWRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR")
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class Ledger:
    """Use as ``async with Ledger(url) as ledger``.

    Raises ``LedgerBusy`` when another process has held the database for ``busy_seconds`` or the file is broken,
    ``NoSpace`` when it cannot be written, ``Conflict`` for the ledger of another version, ``BadInput`` for a ``url``
    that names no database we can talk to. ``durable``: what is committed survives a loss of power also in SQLite,
    where that costs an fsync a transaction; other databases do as they are set up.
    """

    def __init__(self, url: str, busy_seconds: float = BUSY_SECONDS, *, durable: bool = False) -> None:
        self._held = False
        self._patience = busy_seconds
        try:
            self._engine = _engine(url, busy_seconds, durable=durable)
        except (ArgumentError, ImportError) as error:
            raise BadInput(
                f"cannot talk to such a ledger: {error}", hint="see the URLs and drivers of SQLAlchemy"
            ) from None
        self._where = self._engine.url.render_as_string(hide_password=True)
        self._connection: Connection | None = None  # of the thread: checking one out costs more than what it then does
        self._thread = OneThread("ledger")

    async def __aenter__(self) -> Ledger:
        try:
            await self.do(_migrate)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        def close() -> None:
            self._put_back()
            self._engine.dispose()

        try:
            await self._thread.run(close)
        finally:
            self._thread.close()

    async def do(self, operation: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``operation`` in one transaction: all of it is committed, or nothing is."""

        def transaction() -> T:
            try:
                if self._connection is None:
                    self._connection = self._engine.connect()
                if self._connection.dialect.name == "sqlite":
                    return self._in_sqlite(self._connection, lambda tx: operation(tx, *args, **kwargs))
                with self._connection.begin():
                    return operation(self._connection, *args, **kwargs)
            except DBAPIError as error:
                self._put_back()
                wrapped = _wrapped(error, self._where)
                self._held = isinstance(wrapped, LedgerBusy)
                raise wrapped from error

        return await self._thread.run(transaction)

    def _in_sqlite(self, tx: Tx, operation: Callable[[Tx], T]) -> T:
        """The transaction around ``operation``, by the driver itself: SQLAlchemy's takes longer than most of them."""
        milliseconds = round(1000 * (min(self._patience, HELD_SECONDS) if self._held else self._patience))
        if tx.info.get("busy_timeout") != milliseconds:
            _say(tx, f"PRAGMA busy_timeout={milliseconds}")
            tx.info["busy_timeout"] = milliseconds
        _say(tx, "BEGIN IMMEDIATE")
        self._held = False
        try:
            value = operation(tx)
            _say(tx, "COMMIT")
        except BaseException:
            if _driver(tx).in_transaction:  # some errors end it by themselves
                _say(tx, "ROLLBACK")
            raise
        return value

    def _put_back(self) -> None:
        """The next transaction asks the pool again, which knows whether the connection still lives."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _engine(url: str, patience: float, *, durable: bool) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=1, max_overflow=0)
    engine = create_engine(
        url,
        connect_args={"timeout": patience},
        isolation_level="AUTOCOMMIT",  # we begin and commit ourselves
        poolclass=SingletonThreadPool,
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA cache_size=-{PAGES_KIB}")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")

    return engine


def _driver(tx: Tx) -> sqlite3.Connection:
    found: Any = tx.connection.dbapi_connection
    connection: sqlite3.Connection = found
    return connection


def _say(tx: Tx, text: str) -> None:
    try:
        _driver(tx).execute(text)
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error, dialect=tx.dialect) from error


def _wrapped(error: DBAPIError, where: str) -> RondoError:
    text, name = str(error.orig), getattr(error.orig, "sqlite_errorname", "")
    if name.startswith(_UNWRITABLE):
        hint = "free space or fix the folder's rights"
        return NoSpace(f"the ledger cannot be written: {text}", where=where, hint=hint)
    if name.startswith(_BROKEN):
        return LedgerBusy(f"the ledger is broken: {text}", where=where, hint="put a copy of the file in its place")
    if isinstance(error, OperationalError) and name != "SQLITE_ERROR":
        hint = "end the other process that holds it, then try again"
        return LedgerBusy(f"the ledger is not to be had: {text}", where=where, hint=hint)
    return RondoError(f"the ledger refused: {text}", where=where)


def _migrate(tx: Tx) -> None:
    """Make the tables of a new ledger; refuse one that a newer Rondo wrote."""
    if not inspect(tx).has_table("settings"):
        tables.metadata.create_all(tx)
        tx.execute(insert(tables.settings).values(key="schema", value=SCHEMA))
        return
    schema = tables.settings.c.key == "schema"
    found = tx.execute(select(tables.settings.c.value).where(schema)).scalar()
    if found != SCHEMA:
        raise Conflict(
            f"the ledger has schema {found}, this Rondo reads {SCHEMA}",
            hint="use the Rondo version that wrote it",
        )
    tx.execute(update(tables.settings).where(schema).values(value=SCHEMA))  # can it be written? Better known now.
