"""The errors for gradients that do not fit their parameters, the same on the host and on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import interval


def missing_gradient(name: str, parameter: Any) -> TypeError:
    return TypeError(
        f"gradient of {name!r} is missing (None): pass an array of shape {parameter.shape}, or freeze {name!r}"
    )


def refusal_of_array(
    where: str,
    it: str,
    array: Any,
    shape: tuple[int, ...],
    dtypes: Sequence[np.dtype[Any]],
    contiguous: str,
) -> Exception | None:
    """The error for an array that is not of this shape, of one of these dtypes and in C order.

    In the code that the message advises, `it` is the array's name, and `contiguous` makes a copy of it in C order.
    """
    if array.shape != shape:
        return ValueError(f"{where} must have shape {shape}, not {array.shape}")
    if array.dtype not in dtypes:
        wanted = " or ".join(map(str, dtypes))
        return TypeError(f"{where} must have dtype {wanted}, not {array.dtype}; pass {it}.astype({dtypes[-1]})")
    if not array.flags.c_contiguous:
        return ValueError(f"{where} must be C-contiguous, not have strides {array.strides}; pass {contiguous}")
    if not array.flags.aligned:
        return ValueError(f"{where} must be aligned in memory; pass {it}.copy()")
    return None


def overlap_refusal(what: str, array: Any, guard: NDArray[np.int64]) -> ValueError | None:
    """The error for an array that overlaps memory which a step writes; `guard` has the intervals of that memory."""
    start, stop = interval(array)
    next_one = int(guard[:, 1].searchsorted(start, side="right"))
    if array.size and next_one < len(guard) and guard[next_one, 0] < stop:
        return ValueError(
            f"{what} overlaps the memory of a parameter or of the optimizer's state, which the step writes; pass a copy"
        )
    return None
