"""Dense CUDA kernels, run from their PTX on the CPU: the bits of the formula."""

import numpy as np
import pytest
from cuda_kernels import Device
from oracle import Oracle, bits_differ
from test_bits import DTYPES, OPTIONS, spread

BY_ELEMENT = {
    name: hyper
    for name, hyper in OPTIONS.items()
    if hyper.get("accumulator", "element") == "element" and not {"max_gradient_norm", "max_global_norm"} & set(hyper)
}


def assert_equal_bits(device, oracle):
    assert bits_differ(device.p, oracle.p[0]) == 0
    assert bits_differ(device.G, oracle.G[0]) == 0
    assert bits_differ(device.v, oracle.v[0]) == 0


@pytest.mark.parametrize("offset", [0, 8], ids=["aligned", "unaligned"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", BY_ELEMENT)
def test_every_option(option, dtype, offset):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(3)
    p = rng.standard_normal(1003).astype(dtype)
    oracle, device = Oracle([p], **hyper), Device(p, offset, **hyper)
    for _ in range(20):
        g = spread(rng, p.shape, dtype)
        oracle.step([g])
        device.step(g)
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 255, 256, 257, 1023, 1024, 1025, 4099])
def test_sizes(size, dtype):
    rng = np.random.default_rng(size)
    p = rng.standard_normal(size).astype(dtype)
    for hyper in ({}, {"momentum": 0.9}):
        oracle, device = Oracle([p], **hyper), Device(p, **hyper)
        for _ in range(3):
            g = spread(rng, p.shape, dtype)
            oracle.step([g])
            device.step(g)
        assert_equal_bits(device, oracle)


@pytest.mark.parametrize("which", range(4), ids=["parameter", "gradient", "accumulator", "velocity"])
def test_one_array_unaligned(which):
    """A slice begins anywhere: the kernel for vectors must not be chosen then."""
    offsets = np.zeros(4, int)
    offsets[which] = 4
    rng = np.random.default_rng(which)
    p, g = rng.standard_normal((2, 37)).astype(np.float32)
    oracle, device = Oracle([p], momentum=0.9), Device(p, offsets, momentum=0.9)
    oracle.step([g])
    device.step(g)
    assert_equal_bits(device, oracle)


def test_the_gradient_may_be_the_parameter():
    p = np.random.default_rng(5).standard_normal(70).astype(np.float32)
    oracle, device = Oracle([p], learning_rate=0.1), Device(p, learning_rate=0.1)
    for _ in range(3):
        oracle.step([oracle.p[0]])
        device.step(device.p)
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hyper", [{}, {"momentum": 0.9, "weight_decay": 0.1}, {"l1": 0.1}], ids=str)
def test_what_is_not_finite(hyper, dtype):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, huge, -huge, np.finfo(dtype).tiny], dtype)
    p, g = (x.ravel().copy() for x in np.meshgrid(special, special))
    oracle, device = Oracle([p], learning_rate=0.1, **hyper), Device(p, learning_rate=0.1, **hyper)
    for _ in range(3):
        oracle.step([g])
        device.step(g)
    assert_equal_bits(device, oracle)


@pytest.mark.parametrize("watchful", [True, False])
@pytest.mark.parametrize("size", [8, 9], ids=["in a vector", "behind the vectors"])
def test_an_infinite_accumulator_is_noticed(size, watchful):
    device = Device(np.ones(size, np.float32), watchful=watchful)
    g = np.ones(size, np.float32)
    device.step(g)
    assert device.infinite == 0
    g[-1] = 1e30
    device.step(g)
    assert device.infinite == watchful
