"""Sums of the gradients of several processes, formed block by block in one pass over memory."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange

from ..finite import make_holds_non_finite
from ..jit import Pair, compiled, jitable, parallel
from ..memory.headers import borrowed
from ..memory.storage import precision_of

BLOCK = 1024  # elements that are added up, divided and checked in the nearest cache


@jitable
def _is_power_of_two(number):
    while number > 1:
        number = number / 2
    return number == 1


@cache
def make_add_up(dtype: np.dtype[Any], summed_in: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, addresses, weights, divisor, total, bits)``: whether NaN or infinity is in the sum.

    At the addresses are two parts or more, ``g_0, g_1, ...`` of `dtype`, of which
    ``total = (weights[0] g_0 + weights[1] g_1 + ...) / divisor`` is computed in `summed_in`, the dtype of `total` and
    of the factors, in the order of the parts. `bits` are the elements of `total` as integers.
    """
    load, at, computed = precision_of(dtype).storage.load, precision_of(dtype).storage.at, precision_of(dtype).real
    real, holds_non_finite = summed_in.type, make_holds_non_finite(precision_of(summed_in))

    @jitable
    def add_blocks(low, high, addresses, weights, divisor, total, bits):
        found, reciprocal = False, real(1) / divisor
        multiplies = _is_power_of_two(divisor)  # which is quicker, and has the same bits
        for start in range(low * BLOCK, min(high * BLOCK, total.size), BLOCK):
            n = min(BLOCK, total.size - start)
            block = total[start : start + n]
            first, second = at(addresses[0], start, n, computed), at(addresses[1], start, n, computed)
            weight, second_weight = weights[0], weights[1]
            for i in range(n):
                block[i] = real(load(first, i)) * weight + real(load(second, i)) * second_weight
            for r in range(2, addresses.size):
                part, weight = at(addresses[r], start, n, computed), weights[r]
                for i in range(n):
                    block[i] += real(load(part, i)) * weight
            if multiplies:
                for i in range(n):
                    block[i] *= reciprocal
            else:
                for i in range(n):
                    block[i] /= divisor
            found |= holds_non_finite(bits[start : start + n])
        return found

    @compiled
    def serial(spans, addresses, weights, divisor, total, bits):
        addresses, weights, total, bits = borrowed((addresses, weights, total, bits))
        return add_blocks(0, -(-total.size // BLOCK), addresses, weights, divisor, total, bits)

    @parallel
    def threaded(spans, addresses, weights, divisor, total, bits):
        blocks, found = -(-total.size // BLOCK), 0
        for t in prange(spans):
            low, high = t * blocks // spans, (t + 1) * blocks // spans
            share = 1 if add_blocks(low, high, addresses, weights, divisor, total, bits) else 0
            found = max(found, share)
        return found != 0

    return Pair(serial, threaded, f"the sum of {dtype} gradients in {summed_in}")
