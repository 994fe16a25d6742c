"""Fetch text files from the server, byte for byte: the same as download_binary."""

from __future__ import annotations

from rondo.console.local.download_binary import COMPLETES, MOVES, SCOPE, Options, run

__all__ = ["COMPLETES", "MOVES", "SCOPE", "Options", "run"]
