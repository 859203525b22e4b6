"""Minibatches, at the path where downhill has them."""

from __future__ import annotations

from .data.dataset import Dataset

__all__ = ["Dataset"]
