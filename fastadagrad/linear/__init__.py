"""Linear models, trained by ADAGRAD or another method."""

from .model import LinearModel

__all__ = ["LinearModel"]
