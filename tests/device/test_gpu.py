"""Whether a real GPU is among those that the tests of device arrays have run on."""

import numpy as np
import pytest
from gpu import Hardware, why_no_hardware
from in_step import run
from oracle import Oracle, bits_differ

import fastadagrad as fa
from fastadagrad.device.arrays import as_device_array
from fastadagrad.device.distinct_rows import DeviceCoalescer


@pytest.mark.gpu
def test_the_real_one():
    if why_no_hardware():
        pytest.skip(why_no_hardware())
    gpu = Hardware()
    p, g = np.random.default_rng(0).standard_normal((2, 100_003)).astype(np.float32)
    oracle, w = Oracle([p], learning_rate=0.1), gpu.array(p)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1)
    for _ in range(3):
        opt.step(gpu.array(g))
        oracle.step([g])
    assert bits_differ(w.numpy(), oracle.p[0]) == 0


@pytest.mark.gpu
@pytest.mark.parametrize("n_rows", [200, 1_000_000, 2**31])
@pytest.mark.parametrize("pattern", ["drawn", "hot", "ascending", "descending"])
def test_many_rows_are_sorted_on_the_real_one(pattern, n_rows):
    """By some hundred tiles at once, over and over: what a tile reads of others depends on when it does."""
    if why_no_hardware():
        pytest.skip(why_no_hardware())
    gpu, rng, n = Hardware(), np.random.default_rng(0), 1_000_003
    drawn = rng.integers(0, n_rows, n)
    indices = {
        "drawn": drawn,
        "hot": np.where(rng.random(n) < 0.9, n_rows - 1, drawn),
        "ascending": np.sort(drawn),
        "descending": np.sort(drawn)[::-1],
    }[pattern]
    given, coalescer = as_device_array(gpu.array(indices)), DeviceCoalescer(gpu, n_rows)
    at, rows = np.argsort(indices, kind="stable"), np.unique(indices)
    for _ in range(20):
        with gpu.on([]):
            groups = coalescer.group("indices", given, unique=False)
            for address, expected in ((groups.count_at, [len(rows)]), (groups.at, at), (groups.rows, rows)):
                found = np.zeros(len(expected), np.uint64)
                gpu.read(address, found)
                np.testing.assert_array_equal(found, expected)


@pytest.mark.gpu
def test_several_processes_on_the_real_one():
    if why_no_hardware():
        pytest.skip(why_no_hardware())
    gpu = Hardware()
    start, *gradients = np.random.default_rng(0).standard_normal((4, 300_003)).astype(np.float32)

    def stepped(comm):
        params = [gpu.array(start), gpu.array(start[:5])]
        opt = fa.ADAGRAD(params=params, learning_rate=0.1, reduction="sum", comm=comm)
        for _ in range(3):
            opt.step([gpu.array(gradients[comm.rank][: len(p)]) for p in params])
        return [p.numpy().tobytes() for p in params]

    host = [start.copy(), start[:5].copy()]
    alone, (a, b, c) = fa.ADAGRAD(params=host, learning_rate=0.1), gradients
    for _ in range(3):
        alone.step([(a + b + c)[: p.size] for p in host])
    assert run(3, stepped) == [[p.tobytes() for p in host]] * 3
