"""Adaptive methods, at the path where downhill has them."""

from __future__ import annotations

from .optimizer import adaptive as _methods
from .optimizer.adaptive import *  # noqa: F403  so that a method is named in one place

__all__ = _methods.__all__
