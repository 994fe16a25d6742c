"""Homomorphic encryption is not part of this version."""

from __future__ import annotations

from nvflare.experimental.homomorphic_encryption import Encrypting


class HEEvalDecryptor(Encrypting):
    """Cannot be made."""
