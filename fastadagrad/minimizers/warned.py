"""Warnings that show the user's line, however many calls within SciPy and this library are between."""

from __future__ import annotations

import sys
import warnings

_OURS = ("fastadagrad", "scipy")


def warn(message: str, category: type[Warning]) -> None:
    """Warn with the line that called into this library, or into SciPy's `minimize`.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type
        Class of the warning, such as `scipy.optimize.OptimizeWarning`.
    """
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
