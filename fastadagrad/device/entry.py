"""Imports the code that steps parameters on a GPU, when the first such parameter is met."""

from __future__ import annotations

from typing import Any

from .backend import INSTALL


def device_units() -> Any:
    """The module that steps parameters on a GPU; RuntimeError where numba-cuda or its compiler is missing."""
    try:
        from . import units
    except Exception as error:  # numba-cuda raises more than ImportError where it finds no CUDA
        raise RuntimeError(f"device arrays need numba-cuda and CUDA's compiler ({error}): {INSTALL}") from error
    return units
