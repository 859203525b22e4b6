"""An optimizer on a GPU and one on the host, with the same numbers, stepped together."""

import numpy as np
from oracle import bits_differ, spread

import fastadagrad as fa

F4 = np.float32


def pair(gpu, dtype=F4, shapes=((33,), (4, 5)), seed=2, **hyper):
    """An optimizer on the GPU, its arrays, and one of the same numbers on the host."""
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    arrays = [gpu.array(p) for p in params]
    hyper = {"learning_rate": 0.1, **hyper}
    return fa.ADAGRAD(params=arrays, **hyper), arrays, fa.ADAGRAD(params=params, **hyper), params, rng


def step_both(gpu, opt, other, params, rng, times=1):
    for _ in range(times):
        gradients = [spread(rng, p.shape, p.dtype) for p in params]
        opt.step([gpu.array(g) for g in gradients])
        other.step(gradients)


def assert_same(arrays, params):
    for array, p in zip(arrays, params, strict=True):
        assert bits_differ(array.numpy(), p) == 0
