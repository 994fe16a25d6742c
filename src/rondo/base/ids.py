"""Names that cannot be guessed, and what is kept of them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets


def new_token() -> str:
    """A session token: 32 random bytes, URL-safe."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether ``text`` has the form of what ``new_token`` makes."""
    return re.fullmatch(r"[A-Za-z0-9_-]{43}", text) is not None


def token_hash(token: str) -> str:
    """What the ledger keeps of a token: a leaked database opens no session."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_id() -> str:
    """A correlation id for commands, audit lines and uploads: a random UUID, version 4 (RFC 9562)."""
    # By hand: the same through ``uuid`` takes five times as long, and every line of an audit log has one.
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
