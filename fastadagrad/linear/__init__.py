"""Linear models trained with ADAGRAD."""

from .model import LinearModel

__all__ = ["LinearModel"]
