"""A look into a ledger that a server may be using: nothing is written, nobody is held up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from rondo.base.errors import BadInput, LedgerBusy, NotFound
from rondo.ledger.ledger import Tx

T = TypeVar("T")


def read_ledger(path: Path, url: str, look: Callable[[Tx], T]) -> T:
    """What ``look`` finds in the ledger at ``url``, or where that is "" in the SQLite file ``path``.

    Raises ``NotFound`` where there is no such file, ``LedgerBusy`` for one that cannot be read, ``BadInput`` for a
    ``url`` that names no database we can talk to.
    """
    if not url and not path.is_file():
        raise NotFound("there is no ledger here", where=str(path), hint="no server was ever started in this workspace")
    try:
        engine = create_engine(url or _read_only(path), poolclass=NullPool)
        with engine.connect() as tx:
            return look(tx)
    except (ArgumentError, ImportError) as error:
        raise BadInput(
            f"cannot talk to such a ledger: {error}", hint="see the URLs and drivers of SQLAlchemy"
        ) from None
    except DBAPIError as error:
        raise LedgerBusy(f"the ledger cannot be read: {error.orig}", where=url or str(path)) from error


def _read_only(path: Path) -> str:
    """Without its -wal file nobody has it open, and whoever may not write in the folder can read it as it is."""
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    return f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro{alone}&uri=true"
