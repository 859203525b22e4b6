"""The way to what steps parameters on a GPU, which is imported when the first of them is met."""

from __future__ import annotations

from typing import Any

from .backend import INSTALL


def device_units() -> Any:
    """The module of what steps parameters on a GPU, which needs the compiler for it."""
    try:
        from . import units
    except Exception as error:  # numba-cuda raises more than ImportError where it finds no CUDA
        raise RuntimeError(f"device arrays need numba-cuda and CUDA's compiler ({error}): {INSTALL}") from error
    return units
