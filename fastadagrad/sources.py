"""Data by file or by name, as the commands read them."""

from __future__ import annotations

from .data.loading import load

__all__ = ["load"]
