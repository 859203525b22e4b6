"""Methods without adaptive rates, at the path where downhill has them."""

from __future__ import annotations

from .optimizer.first_order import NAG, SGD

__all__ = [
    "NAG",
    "SGD",
]
