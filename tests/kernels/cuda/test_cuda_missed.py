"""What catching up on a GPU is made of: CUDA's exp and log, which may differ from the host's in the last place.

That the rows come out as on the host is in test_device_rows.py.
"""

import math

import numpy as np
import ptx
import pytest
from cuda_kernels import CC, adagrad
from numba import cuda, types

from fastadagrad.kernels.cuda import missed
from fastadagrad.kernels.cuda.compiling import compile_kernel
from fastadagrad.kernels.cuda.memory import load_double, store_double

N = 5000
RANGES = {
    "exp": lambda rng: rng.uniform(-745, 709, N),
    "exp of little": lambda rng: -(10.0 ** rng.uniform(-12, 2.8, N)),
    "expm1": lambda rng: -(10.0 ** rng.uniform(-12, 2.8, N)),
    "log": lambda rng: 10.0 ** rng.uniform(-12, 12, N),
    "log near 1": lambda rng: 1 - 10.0 ** rng.uniform(-12, -0.01, N),
    "log1p": lambda rng: 10.0 ** rng.uniform(-12, 6, N),
}


@pytest.mark.parametrize("case", RANGES)
def test_within_a_unit_in_the_last_place_of_the_hosts(case):
    function = getattr(math, case.split()[0])
    n, word = np.uint64(N), np.uint64(8)

    def kernel(source, target):
        i = np.uint64(cuda.grid(1))
        if i < n:
            store_double(target + i * word, function(load_double(source + i * word)))

    x = RANGES[case](np.random.default_rng(0))
    found, expected = np.zeros(N), np.array([function(value) for value in x])
    compiled = compile_kernel("test", kernel, (types.uint64,) * 2, CC, exact=False)
    ptx.launch(compiled.ptx, -(-N // 256), 256, (x.ctypes.data, found.ctypes.data), [x, found], inexact=True)
    assert (np.abs(found - expected) <= np.spacing(np.abs(expected))).all()


def test_exact_kernels_may_not_have_them():
    def kernel(target):
        store_double(target, math.exp(load_double(target)))

    with pytest.raises(RuntimeError, match="would not have the bits of the CPU's"):
        compile_kernel("test", kernel, (types.uint64,), CC)


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_nothing_else_is_contracted(dtype):
    """The library's functions are of float64: a sum of float32 contracted with a product would be ours."""
    kernel = missed.make_row_catch_up(adagrad, "momentum", "element", "steps", np.dtype(dtype), CC)
    assert not kernel.exact
    assert "fma.rn.f32" not in kernel.ptx
    assert ".approx.f32" not in kernel.ptx
