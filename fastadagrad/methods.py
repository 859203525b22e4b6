"""Methods by name."""

from __future__ import annotations

from .optimizer.methods import build, method_named, minimize, register

__all__ = ["build", "method_named", "minimize", "register"]
