"""Launches of kernels whose arguments are ready, so that each takes a single call of CUDA's driver."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Sequence
from functools import cache, partial
from struct import Struct
from typing import Any

import numpy as np
from cuda.bindings import driver as cuda
from numpy.typing import NDArray

from .answers import SUCCESS

SLOT = 8  # bytes of the room for an argument
_FORMATS = {"f4": "f4x", "i4": "i4x", "u4": "I4x", "f8": "d", "i8": "q", "u8": "Q"}  # by kinds of NumPy's scalars


@cache
def _struct_of(kinds: tuple[type, ...]) -> Struct:
    """How arguments of these types are laid out, each at the beginning of a slot."""
    return Struct("=" + "".join("Q" if kind is int else _FORMATS[np.dtype(kind).str[1:]] for kind in kinds))


class Launch:
    """A kernel with its grid and its arguments, of which the driver takes a copy whenever it is launched."""

    __slots__ = ("_call", "_kept", "_places", "blocks")

    def __init__(self, function: Any, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        self.blocks, slots = blocks, ctypes.c_uint64 * len(arguments)
        values = slots()
        _struct_of(tuple(map(type, arguments))).pack_into(values, 0, *arguments)
        first = ctypes.addressof(values)
        places = slots(*range(first, first + ctypes.sizeof(values), SLOT))
        self._kept, self._places = (values, places), ctypes.addressof(places)
        self._call = partial(cuda.cuLaunchKernel, function, blocks, 1, 1, threads, 1, 1, 0)

    def on(self, stream: int) -> tuple[Any, ...]:
        """Launch it on a stream; returns the driver's answer."""
        answer: tuple[Any, ...] = self._call(stream, self._places, 0)
        return answer

    def counted(self, stream: int, updates: NDArray[np.int64], after: Launch | None) -> tuple[Any, ...]:
        """Launch it, `after` another, and add 1 to a count, between which no handler of a signal is called.

        Python calls handlers between operations of its own. This is one of them: what it calls is written in C.
        """
        launches = [launch for launch in (after, self) if launch is not None and launch.blocks]
        calls: list[Callable[[], Any]] = [launch._ready_on(stream) for launch in launches]
        calls.append(partial(np.add, updates, 1, updates))
        answers: list[Any]
        *answers, _ = map(operator.call, calls)
        return next((answer for answer in answers if answer[0] != SUCCESS), (SUCCESS,))

    def _ready_on(self, stream: int) -> Callable[[], tuple[Any, ...]]:
        return partial(self._call, stream, self._places, 0)
