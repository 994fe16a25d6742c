"""What the server keeps from round to round."""

from __future__ import annotations

from typing import Any


class Model(dict[str, Any]):
    """Arrays by name: the weights of the global model."""


Learnable = Model
