"""The user's own updates, carried out after each step of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.parameters import FloatArray
from ..engine.place import array_of, plain
from ..support.asking import asking, shown

Pair = tuple[FloatArray, Callable[..., Any]]


class Updates:
    """Pairs (array, callable): ``array[...] = callable(params, *batch)``.

    Raises
    ------
    TypeError, ValueError
        If a member is no such pair, or its array is read-only.
    """

    def __init__(self, pairs: Iterable[Pair]) -> None:
        with asking("updates", pairs):
            self._pairs = [_checked(pair) for pair in pairs]

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def made_of(self) -> list[Pair]:
        """The pairs as they were given, to make the optimizer anew."""
        return self._pairs

    @property
    def arrays(self) -> dict[int, NDArray[Any]]:
        """The arrays of numbers in the host's memory, by their positions among the pairs."""
        arrays = {number: array for number, (array, _) in enumerate(self._pairs)}
        return {i: a for i, a in arrays.items() if isinstance(a, np.ndarray) and a.dtype.kind in "biufc"}

    def restore(self, arrays: Mapping[int, NDArray[Any]]) -> None:
        """Set arrays by their positions among the pairs."""
        for number, array in arrays.items():
            self._pairs[number][0][...] = array

    def carry_out(self, params: Any, arguments: tuple[Any, ...]) -> None:
        """Set each array, one after the other, from parameters and a batch."""
        for array, update in self._pairs:
            value = update(params, *arguments)
            with asking("the result of an update"):
                found = array_of("the result of an update", value)
                array[...] = found if isinstance(found, np.ndarray) else plain("the result of an update", value)


def _checked(pair: Any) -> Pair:
    found = array_of("updates", pair[0]) if isinstance(pair, tuple | list) and len(pair) == 2 else None
    if found is None:
        raise TypeError(f"updates must be (array, callable) pairs, not {shown(pair)}")
    if not callable(pair[1]):
        raise TypeError(f"updates must be (array, callable) pairs, but {shown(pair[1])} cannot be called")
    if isinstance(found, np.ndarray) and not found.flags.writeable:
        raise ValueError(f"updates must be of writable arrays; one of shape {found.shape} is read-only")
    return pair[0], pair[1]
