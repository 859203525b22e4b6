"""Warnings that show the user's line, however many calls are between, within this library and those that call it."""

from __future__ import annotations

import sys
import warnings

_BETWEEN = ("fastadagrad", "joblib", "scipy", "sklearn")


def warn(message: str, category: type[Warning]) -> None:
    """Warn with the line that called into this library, or into one that calls it, as SciPy's `minimize` does.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type
        Class of the warning, such as `scipy.optimize.OptimizeWarning`.
    """
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
