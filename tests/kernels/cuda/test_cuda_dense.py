"""Dense CUDA kernels, run from their PTX on the CPU: the bits of the formula."""

import numpy as np
import pytest
from adagrad_options import DTYPES, OPTIONS
from cuda_kernels import CC, Device, assert_equal_bits, at_offset
from oracle import Oracle, ordered_sum, spread
from ptx import launch

from fastadagrad.kernels.cuda.finite import make_finite_check

SHAPES = [(), (0,), (1,), (33,), (7, 5), (3, 0), (0, 4), (65, 13), (2, 3, 5), (2, 4100)]


def assert_steps_agree(device, oracle, rng, steps, step=None):
    """Step both with the same gradients, and compare."""
    for _ in range(steps):
        gradients = [spread(rng, p.shape, p.dtype) for p in oracle.p]
        oracle.step(gradients)
        (step or device.step)(gradients)
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("offset", [0, pytest.param(8, marks=pytest.mark.slow)], ids=["aligned", "unaligned"])
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option(option, dtype, offset):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(3)
    shapes = [shape for shape in SHAPES if shape or hyper.get("accumulator") != "row"]
    params = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    assert_steps_agree(Device(params, offset, **hyper), Oracle(params, **hyper), rng, 4)


@pytest.mark.parametrize("offset", [0, 8], ids=["aligned", "unaligned"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hyper", [{}, {"momentum": 0.9}, {"l1": 0.1, "weight_decay": 0.1}], ids=str)
def test_many_tensors_in_one_launch(hyper, dtype, offset):
    rng = np.random.default_rng(4)
    params = [np.asarray(rng.standard_normal(shape), dtype) for shape in [(0,), *SHAPES, (70,), (0,)]]
    device = Device(params, offset, **hyper)
    assert_steps_agree(device, Oracle(params, **hyper), rng, 3, device.step_at_once)


def test_the_tensor_with_an_infinite_accumulator_is_marked():
    device = Device([np.ones(n, np.float32) for n in (8, 5000, 9, 70)])
    gradients = [np.ones(p.size, np.float32) for p in device.p]
    gradients[1][4999] = gradients[2][8] = 1e30
    assert device.step_at_once(gradients).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 31, 32, 33, 4095, 4096, 4097, 40_000])
def test_sums_of_squares(size, dtype):
    g = spread(np.random.default_rng(size), size, dtype)
    assert Device([g]).sum_of_squares(at_offset(g)) == ordered_sum(g)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf, None])
def test_finite_check(value, dtype):
    g = np.full(1000, np.finfo(dtype).max, dtype)
    if value is not None:
        g[999] = value
    for kernel in make_finite_check(np.dtype(dtype), CC):
        found = np.zeros(1, np.int32)
        launch(kernel.ptx, 4, 256, (g.ctypes.data, g.size, found.ctypes.data), [g, found])
        assert found == (value is not None)


@pytest.mark.parametrize("stopped", [0, 1])
@pytest.mark.parametrize("value", [np.nan, 1.0])
def test_a_check_that_decides(value, stopped):
    g = np.full(1000, value, np.float32)
    for kernel in make_finite_check(g.dtype, CC, decides=True):
        found, noticed, before = np.int32([[0], [0], [stopped]])
        places = [x.ctypes.data for x in (found, noticed, before)]
        launch(kernel.ptx, 4, 256, (g.ctypes.data, g.size, *places), [g, found, noticed, before])
        assert found == noticed == (not stopped and np.isnan(value))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 255, 256, 257, 1023, 1024, 1025, 4099])
def test_sizes(size, dtype):
    rng = np.random.default_rng(size)
    p = rng.standard_normal(size).astype(dtype)
    for hyper in ({}, {"momentum": 0.9}):
        assert_steps_agree(Device([p], **hyper), Oracle([p], **hyper), rng, 3)


@pytest.mark.parametrize("which", range(4), ids=["parameter", "gradient", "accumulator", "velocity"])
def test_one_array_unaligned(which):
    """A slice begins anywhere: the kernel for vectors must not be chosen then."""
    offsets = np.zeros(4, int)
    offsets[which] = 4
    rng = np.random.default_rng(which)
    p, g = rng.standard_normal((2, 37)).astype(np.float32)
    oracle, device = Oracle([p], momentum=0.9), Device([p], offsets, momentum=0.9)
    oracle.step([g])
    device.step([g])
    assert_equal_bits(device, oracle)


def test_the_gradient_may_be_the_parameter():
    p = np.random.default_rng(5).standard_normal(70).astype(np.float32)
    oracle, device = Oracle([p], learning_rate=0.1), Device([p], learning_rate=0.1)
    for _ in range(3):
        oracle.step([oracle.p[0]])
        device.step([device.p[0]])
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hyper", [{}, {"momentum": 0.9, "weight_decay": 0.1}, {"l1": 0.1}], ids=str)
def test_what_is_not_finite(hyper, dtype):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, huge, -huge, np.finfo(dtype).tiny], dtype)
    p, g = (x.ravel().copy() for x in np.meshgrid(special, special))
    oracle, device = Oracle([p], learning_rate=0.1, **hyper), Device([p], learning_rate=0.1, **hyper)
    for _ in range(3):
        oracle.step([g])
        device.step([g])
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("watchful", [True, False])
@pytest.mark.parametrize("size", [8, 9], ids=["in a vector", "behind the vectors"])
def test_an_infinite_accumulator_is_noticed(size, watchful):
    device = Device([np.ones(size, np.float32)], watchful=watchful)
    g = np.ones(size, np.float32)
    device.step([g])
    assert device.infinite == 0
    g[-1] = 1e30
    device.step([g])
    assert device.infinite == watchful
