"""What the tests of CUDA kernels share: where they cannot be compiled these skip, and say why."""

import numpy as np
import ptx
import pytest

INSTALL = "pip install 'fastadagrad[cuda13]'"
compiling = pytest.importorskip(
    "fastadagrad.kernels.cuda.compiling", reason=f"CUDA kernels cannot be compiled: {INSTALL}", exc_type=Exception
)

from fastadagrad.hyper import cast_scalars, make_settings  # noqa: E402  only where they can be
from fastadagrad.kernels.cuda.dense import THREADS, make_dense  # noqa: E402
from fastadagrad.kernels.cuda.memory import VECTOR, lanes_of  # noqa: E402
from fastadagrad.kernels.rules import adagrad  # noqa: E402

CC = (9, 0)


def at_offset(values, offset=0):
    """A copy that begins so many bytes behind a multiple of 16, in memory that ends where it does."""
    values = np.asarray(values)
    room = np.zeros(values.nbytes + 2 * VECTOR, np.uint8)
    start = -room.ctypes.data % VECTOR + offset
    copy = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


class Device:
    """AdaGrad on one array by the interpreted kernels, with an accumulator for each element.

    Parameters
    ----------
    offsets : int, or one for each of parameter, gradient, accumulator and velocity
        Bytes behind a multiple of 16 at which the arrays begin.
    """

    def __init__(self, p, offsets=0, watchful=True, cc=CC, **hyper):
        self.settings, _ = make_settings(adagrad, hyper)
        self.offsets = np.broadcast_to(offsets, 4)
        self.dtype, self.t = p.dtype, 0
        start = self.settings.own.initial_accumulator_value
        self.p, self.G = at_offset(p, self.offsets[0]), at_offset(np.full_like(p, start), self.offsets[2])
        self.v, self.infinite = at_offset(np.zeros_like(p), self.offsets[3]), np.zeros(1, np.int32)
        self.dense = make_dense(adagrad, self.settings.motion, self.settings.lean, watchful, p.dtype, cc)

    def step(self, g):
        g = g if g is self.p else at_offset(g, self.offsets[1])
        g.flags.writeable = g is self.p
        slots = [self.p, g, self.G, *([self.v] if self.settings.motion != "plain" else [])]
        aligned = not any(a.ctypes.data % VECTOR for a in slots)
        kernel, blocks = self.dense.grid(self.p.size, lanes_of(self.dtype), aligned)
        addresses = [a.ctypes.data for a in slots] + [0] * (4 - len(slots))
        scalars = cast_scalars(adagrad, self.settings, self.t, self.dtype)
        arguments = *addresses, self.p.size, self.infinite.ctypes.data, *scalars
        ptx.launch(kernel.ptx, blocks, THREADS, arguments, [*slots, self.infinite])
        self.t += 1
