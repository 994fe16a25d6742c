"""See the package: it is not part of this version."""

from __future__ import annotations

from . import Encrypting


class HEPTFileModelPersistor(Encrypting):
    """Cannot be made."""
