"""Methods without adaptive rates, at the path where downhill has them."""

from __future__ import annotations

from .optimizer.adaptive import NAG, SGD

__all__ = [
    "NAG",
    "SGD",
]
