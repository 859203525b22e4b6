"""Callbacks in the two forms that SciPy's methods take: callback(xk), and callback(*, intermediate_result)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

STOPPED = "`callback` raised `StopIteration`."  # SciPy's own message for this end, whose status is 99


def told_by(callback: Callable[..., Any] | None) -> Callable[[Any], bool] | None:
    """A function of an intermediate result that calls the user's callback; it returns whether that asked for the end.

    Parameters
    ----------
    callback : callable or None
        It gets the intermediate result by keyword if its only parameter is called ``intermediate_result``, else x
        alone. It asks for the end by raising StopIteration; its return value is ignored, as SciPy's methods do.

    Returns
    -------
    callable or None

    Raises
    ------
    TypeError
        If the callback cannot be called.
    """
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(
            "callback must be callable, as callback(xk) or callback(*, intermediate_result), not "
            f"{type(callback).__name__}"
        )
    asks_for_result = _parameters_of(callback) == {"intermediate_result"}

    def tell(result: Any) -> bool:
        try:
            if asks_for_result:
                callback(intermediate_result=result)
            else:
                callback(np.copy(result.x))
        except StopIteration:
            return True
        return False

    return tell


def _parameters_of(callback: Callable[..., Any]) -> set[str]:
    """Names of a callback's parameters; empty if Python cannot find them out."""
    try:
        return {*inspect.signature(callback).parameters}
    except (TypeError, ValueError):
        return set()
