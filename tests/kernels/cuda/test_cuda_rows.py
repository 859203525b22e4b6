"""CUDA kernels for rows, run from their PTX on the CPU: the bits of the dense step on the rows' sums."""

import numpy as np
import ptx
import pytest
from adagrad_options import OPTIONS
from cuda_kernels import CC, Device, adagrad, assert_equal_bits, at_offset, cast_scalars
from oracle import Oracle, spread

from fastadagrad.kernels.cpu.coalesce import sort_rows
from fastadagrad.kernels.cuda.memory import lanes_of
from fastadagrad.kernels.cuda.rows import THREADS, blocks_of, in_vectors, make_row_update, share_of

MOVES_ALL = {"momentum", "weight_decay", "decoupled_weight_decay", "l1", "l2"}
NEEDS_NORM = {"max_gradient_norm", "max_global_norm"}
FOR_ROWS = {
    name: hyper
    for name, hyper in OPTIONS.items()
    if not (MOVES_ALL | NEEDS_NORM) & set(hyper) and hyper.get("accumulator") != "tensor"
}


class RowDevice(Device):
    """AdaGrad on one array with gradients by rows."""

    def step(self, indices, values):
        [p], [G], [v] = self.p, self.G, self.v
        n = len(indices)
        at, rows, starts = (np.zeros(n + 1, np.int64) for _ in range(3))
        groups = sort_rows.serial(1, indices, len(p), at, rows, starts)
        values = at_offset(values)
        width, of = p[0].size, (self.kinds[0], self.settings.lean, p.dtype, self.cc)
        own = [p, G, *([v] if self.motion != "plain" else [])]
        vectors = in_vectors(self.kinds[0], width, p.dtype, *(a.ctypes.data for a in (*own, values)))
        kernel = make_row_update(adagrad, self.motion, *of, vectors)
        # The GPU knows how many groups there are, and the host how many there may be.
        count, arrays = np.array([groups], np.uint64), [*own, rows, starts, at, values]
        scalars = cast_scalars(self.settings, self.t, p.dtype)
        share = share_of(width, self.kinds[0], lanes_of(p.dtype) if vectors else 1)
        places = [a.ctypes.data for a in arrays]
        arguments = [*places, n, count.ctypes.data, width, share, self.infinite.ctypes.data, *scalars]
        ptx.launch(kernel.ptx, blocks_of(n, share), THREADS, arguments, [*arrays, count, self.infinite])
        self.t += 1


def dense(p, indices, values):
    g = np.zeros_like(p)
    with np.errstate(over="ignore"):
        np.add.at(g, indices, values)
    return g


@pytest.mark.parametrize("width", [5, 8, *(pytest.param(w, marks=pytest.mark.slow) for w in (1, 64, 4100))])
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("option", FOR_ROWS)
def test_every_option(option, dtype, width):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(width)
    p = rng.standard_normal((40, width)).astype(dtype)
    oracle, device = Oracle([p], **hyper), RowDevice([p], **hyper)
    for _ in range(3):
        indices = rng.integers(0, 40, 30)
        values = spread(rng, (30, width), dtype)
        oracle.step([dense(p, indices, values)])
        device.step(indices, values)
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("accumulator", ["element", "row"])
@pytest.mark.parametrize("hyper", [{"momentum": 0.9}, {"l1": 0.1, "weight_decay": 0.1}], ids=str)
def test_rows_that_are_all_named(hyper, accumulator):
    """With these options the dense method moves rows of which there is no gradient, so name them all."""
    hyper = {"learning_rate": 0.1, "accumulator": accumulator, **hyper}
    rng = np.random.default_rng(8)
    p = rng.standard_normal((20, 33)).astype(np.float32)
    oracle, device = Oracle([p], **hyper), RowDevice([p], **hyper)
    for _ in range(3):
        indices = rng.permutation(np.concatenate([np.arange(20), rng.integers(0, 20, 9)]))
        values = spread(rng, (29, 33), np.float32)
        oracle.step([dense(p, indices, values)])
        device.step(indices, values)
    assert_equal_bits(device, oracle)


def test_rows_that_are_not_named_keep_their_bits():
    rng = np.random.default_rng(9)
    p = rng.standard_normal((20, 33)).astype(np.float32)
    device = RowDevice([p], learning_rate=0.1, momentum=0.9)
    device.step(np.array([3, 7, 3]), np.ones((3, 33), np.float32))
    others = np.setdiff1d(np.arange(20), [3, 7])
    np.testing.assert_array_equal(device.p[0][others], p[others])
    assert (device.p[0][[3, 7]] != p[[3, 7]]).all()


def test_compute_capability():
    kernel = make_row_update(adagrad, "plain", "element", True, np.dtype(np.float32), CC)
    assert ".target sm_90" in kernel.ptx
    assert ".f64" not in kernel.ptx
