"""What code written for Clara subclasses and asks for."""

from .model import Model
from .model_persistor import ModelPersistor
from .shareable_generator import ShareableGenerator
from .trainer import Trainer
from .validator import Validator

__all__ = ["Model", "ModelPersistor", "ShareableGenerator", "Trainer", "Validator"]
