"""Send text files to the server, byte for byte: the same as upload_binary."""

from __future__ import annotations

from rondo.console.local.upload_binary import HIDDEN, MOVES, SCOPE, Options, run

__all__ = ["HIDDEN", "MOVES", "SCOPE", "Options", "run"]
