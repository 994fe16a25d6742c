"""Names that cannot be guessed, and what is kept of them."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid


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
    """A correlation id for commands, audit lines and uploads (random UUID4)."""
    return str(uuid.uuid4())
