"""Copies of arrays of any strides and floating dtype, in C order and another dtype."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import threads
from .compiling import Capability, Kernel, compile_kernel
from .memory import GLOBAL, make_access

AXES = 4
THREADS = 256  # a block


@intrinsic
def _load_half(typingctx, address):
    """Load a float16 as the float32 of the same value."""

    def codegen(context, builder, signature, args):
        half = builder.inttoptr(args[0], ir.HalfType().as_pointer(GLOBAL))
        return builder.fpext(builder.load(half, align=2), ir.FloatType())

    return types.float32(types.uint64), codegen


def merged_axes(shape: tuple[int, ...], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """The fewest axes, each a length and a stride, that go through the same elements in the same order."""
    axes: list[tuple[int, int]] = []
    for n, stride in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if axes and axes[-1][1] == n * stride:
            axes[-1] = axes[-1][0] * n, stride
        else:
            axes.append((n, stride))
    return axes


@cache
def make_copy(source: np.dtype[Any], target: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(source, n, lengths and strides of AXES axes, target)`` for n elements; strides are in bytes."""
    load = _load_half if source == np.float16 else make_access(source).load
    store, itemsize, real = make_access(target).store, np.uint64(target.itemsize), target.type

    def copy(source, n, length0, stride0, length1, stride1, length2, stride2, length3, stride3, target):
        i = threads.thread()
        if i < n:
            rest, at = i // length3, i % length3 * stride3
            rest, at = rest // length2, at + rest % length2 * stride2
            rest, at = rest // length1, at + rest % length1 * stride1
            at += rest % length0 * stride0
            store(target + i * itemsize, real(load(source + at)))

    return compile_kernel(f"copy_{source}_{target}", copy, (types.uint64,) * (3 + 2 * AXES), cc)
