"""What code written for Clara subclasses and asks for."""

from .trainer import Trainer

__all__ = ["Trainer"]
