"""What all optimizers share, and how one is made by name, at the path where downhill has them."""

from __future__ import annotations

from .optimizer.methods import build
from .optimizer.optimizer import Optimizer

__all__ = ["Optimizer", "build"]
