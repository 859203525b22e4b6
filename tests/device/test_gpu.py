"""Whether a real GPU is among those that the tests of device arrays have run on."""

import numpy as np
import pytest
from gpu import Hardware, why_no_hardware
from in_step import run
from oracle import Oracle, bits_differ

import fastadagrad as fa


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
