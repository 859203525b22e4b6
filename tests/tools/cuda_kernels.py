"""What the tests of CUDA kernels share: AdaGrad by the kernels, which are run from their PTX on the CPU."""

import numpy as np
import ptx
from oracle import bits_differ

from fastadagrad.engine.options import cast_scalars, make_settings
from fastadagrad.engine.state import accumulator_shape, kind_of
from fastadagrad.engine.unit import norm_scale
from fastadagrad.kernels.cuda import dense, reduce, shared
from fastadagrad.kernels.cuda.memory import VECTOR, lanes_of
from fastadagrad.kernels.memory import addresses
from fastadagrad.kernels.reduce import LANES
from fastadagrad.kernels.rules import adagrad

CC = (9, 0)
SCALE = adagrad.Scalars._fields.index("gradient_scale")


def at_offset(values, offset=0):
    """A copy that begins so many bytes behind a multiple of 16, in memory that ends where it does."""
    values = np.asarray(values)
    room = ptx.junk(values.nbytes + 2 * VECTOR, np.uint8)
    start = -room.ctypes.data % VECTOR + offset
    copy = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


class Device:
    """AdaGrad on a list of arrays by the interpreted kernels.

    Parameters
    ----------
    offsets : int, or one for each of parameter, gradient, accumulator and velocity
        Bytes behind a multiple of 16 at which the arrays begin.
    """

    def __init__(self, arrays, offsets=0, watchful=True, cc=CC, **hyper):
        self.settings, self.conduct = make_settings(adagrad, hyper)
        self.offsets, self.watchful, self.cc, self.t = np.broadcast_to(offsets, 4), watchful, cc, 0
        self.motion = self.settings.motion
        self.p = [at_offset(p, self.offsets[0]) for p in arrays]
        self.kinds = [kind_of("p", p, self.settings) for p in arrays]
        [start] = self.settings.initial()
        shapes = [accumulator_shape(p, kind) for p, kind in zip(arrays, self.kinds, strict=True)]
        starts = [np.full(shape, start, p.dtype) for p, shape in zip(arrays, shapes, strict=True)]
        self.G = [at_offset(G, self.offsets[2]) for G in starts]
        self.v = [at_offset(np.zeros_like(p), self.offsets[3]) for p in arrays]
        self.infinite = np.zeros(1, np.int32)

    def step(self, gradients):
        """Gradients that are a parameter of this object are taken as they are, copies of others."""
        gradients = [g if any(g is p for p in self.p) else at_offset(g, self.offsets[1]) for g in gradients]
        for i, (g, scale) in enumerate(zip(gradients, self._scales(gradients), strict=True)):
            scalars = cast_scalars(self.settings, self.t, g.dtype)
            scalars[SCALE] = scale
            if g.size:
                {"element": self._by_element, "row": self._by_row, "tensor": self._by_tensor}[self.kinds[i]](
                    i, g, scalars
                )
        self.t += 1

    def step_at_once(self, gradients):
        """Step arrays of one dtype with an accumulator for each element in one launch; their marks of infinity."""
        gradients = [at_offset(g, self.offsets[1]) for g in gradients]
        dtype, n = gradients[0].dtype, len(gradients)
        sizes = [g.size for g in gradients]
        rows = addresses.make_table(sizes, sizes, dtype)
        for i, g in enumerate(gradients):
            arrays, places = self._slots(i, g)
            slots = range(addresses.FIRST_SLOT, addresses.FIRST_SLOT + len(arrays) - 2)
            rows[i, [addresses.PARAMETER, addresses.GRADIENT, *slots]] = places
        scalars = np.tile(cast_scalars(self.settings, self.t, dtype), (n, 1))
        variant = dense.Variant(self.motion, self.settings.lean, self.watchful, dtype, self.cc)
        kernel = dense.make_many(adagrad, variant)
        infinite = np.zeros(n, np.int32)
        memory = [rows, scalars, infinite, *gradients, *self.p, *self.G, *(self.v if self.motion != "plain" else [])]
        arguments = rows.ctypes.data, n, infinite.ctypes.data, scalars.ctypes.data
        ptx.launch(kernel.ptx, int(rows[-1, addresses.FIRST_BLOCK]), dense.THREADS, arguments, memory)
        self.t += 1
        return infinite

    def _scales(self, gradients):
        """Of each gradient, for its norm or that of all of them."""
        if self.conduct.max_global_norm:
            total = 0.0
            for g in gradients:
                total += self.sum_of_squares(g)
            return [norm_scale(self.conduct.max_global_norm, total)] * len(gradients)
        limit = self.settings.norm_limit
        return [norm_scale(limit, self.sum_of_squares(g)) if limit else 1.0 for g in gradients]

    def sum_of_squares(self, g, p=None, scalars=None):
        """Of a gradient as it is; of a prepared one if its parameter and the scalars are given."""
        kernels = reduce.make_sums(adagrad, p is not None, g.dtype, self.cc)
        sums, total = ptx.junk(-(-g.size // reduce.BLOCK), float), ptx.junk(1, float)
        p = g if p is None else p
        scalars = np.zeros(len(adagrad.Scalars._fields)) if scalars is None else scalars
        arguments = p.ctypes.data, g.ctypes.data, g.size, sums.ctypes.data, *scalars
        ptx.launch(kernels.blocks.ptx, reduce.blocks_of(sums.size), reduce.THREADS, arguments, [p, g, sums])
        ptx.launch(kernels.total.ptx, 1, LANES, (sums.ctypes.data, sums.size, total.ctypes.data), [sums, total])
        return total[0]

    def _slots(self, i, g):
        """Arrays, and their addresses, in the order in which the kernels take them."""
        arrays = [self.p[i], g, self.G[i], *([self.v[i]] if self.motion != "plain" else [])]
        return arrays, [a.ctypes.data for a in arrays]

    def _by_element(self, i, g, scalars):
        lean = self.settings.lean and not self.conduct.max_global_norm
        kernels = dense.make_dense(adagrad, dense.Variant(self.motion, lean, self.watchful, g.dtype, self.cc))
        arrays, places = self._slots(i, g)
        aligned = not any(a.ctypes.data % VECTOR for a in arrays)
        kernel, blocks = kernels.grid(g.size, lanes_of(g.dtype), aligned)
        arguments = *places, g.size, self.infinite.ctypes.data, *scalars
        ptx.launch(kernel.ptx, blocks, dense.THREADS, arguments, [*arrays, self.infinite])

    def _by_row(self, i, g, scalars):
        kernel = shared.make_rows(adagrad, self.motion, g.dtype, self.cc)
        arrays, places = self._slots(i, g)
        arguments = *places, len(g), g.size // len(g), self.infinite.ctypes.data, *scalars
        ptx.launch(kernel.ptx, -(-len(g) * LANES // 64), 64, arguments, [*arrays, self.infinite])

    def _by_tensor(self, i, g, scalars):
        kernels = shared.make_tensor(adagrad, self.motion, g.dtype, self.cc)
        square = np.array([self.sum_of_squares(g, self.p[i], scalars)])
        arrays, places = self._slots(i, g)
        arguments = square.ctypes.data, self.G[i].ctypes.data, self.infinite.ctypes.data, *scalars
        ptx.launch(kernels.accumulate.ptx, 1, 1, arguments, [square, self.G[i], self.infinite])
        ptx.launch(kernels.update.ptx, -(-g.size // 64), 64, (*places, g.size, *scalars), arrays)


def assert_equal_bits(device, oracle):
    for found, expected in ((device.p, oracle.p), (device.G, oracle.G), (device.v, oracle.v)):
        for a, b in zip(found, expected, strict=True):
            assert bits_differ(a, b) == 0
