"""Updates called from a user's own nopython loop."""

import numpy as np
import pytest
from numba import njit
from oracle import Oracle, bits_differ

import fastadagrad as fa

OPTIONS = {
    "plain": {},
    "nesterov, penalised": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "max_gradient_elem": 0.5},
    "row": {"accumulator": "row", "l1": 0.01},
    "tensor": {"accumulator": "tensor", "momentum": 0.9},
}


@pytest.mark.parametrize("threaded", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("option", OPTIONS)
def test_bits_inside_a_compiled_loop(option, threaded):
    kit = fa.compiled_update(dtype=np.float32, ndim=2, learning_rate=0.1, **OPTIONS[option])
    update, update_threaded = kit.update, kit.threaded

    @njit
    def serial_loop(p, gradients, slots, s):
        for i in range(len(gradients)):
            update(p, gradients[i], slots, s)

    @njit
    def threaded_loop(p, gradients, slots, s):
        for i in range(len(gradients)):
            update_threaded(p, gradients[i], slots, s, 2)

    rng = np.random.default_rng(0)
    p = rng.standard_normal((37, 130)).astype(np.float32)
    gradients = rng.standard_normal((5, *p.shape)).astype(np.float32)
    oracle = Oracle([p], learning_rate=0.1, **OPTIONS[option])
    slots = kit.slots(p)
    (threaded_loop if threaded else serial_loop)(p, gradients, slots, kit.scalars())
    for gradient in gradients:
        oracle.step([gradient])
    assert bits_differ(p, oracle.p[0]) == 0
    assert bits_differ(slots[0].reshape(oracle.G[0].shape), oracle.G[0]) == 0


def test_scalars_follow_the_schedule():
    kit = fa.compiled_update(dtype=np.float32, learning_rate=lambda t: 1 / (t + 1), decoupled_weight_decay=0.5)
    assert [kit.scalars(t).learning_rate for t in (0, 1, 3)] == [1.0, 0.5, 0.25]
    assert kit.scalars(1).keep == np.float32(0.75)
    assert type(kit.scalars().keep) is np.float32


@pytest.mark.parametrize("hyper", [{"max_gradient_norm": 1.0}, {"max_global_norm": 1.0}])
def test_norm_clipping_is_refused(hyper):
    with pytest.raises(ValueError, match="norm"):
        fa.compiled_update(**hyper)


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="float32 or float64, not int64"):
        fa.compiled_update(dtype=np.int64)


def test_repr():
    update = fa.compiled_update("adagrad", dtype=np.float32, ndim=2, learning_rate=0.1, accumulator="row")
    assert repr(update) == "CompiledUpdate('adagrad', learning_rate=0.1, accumulator='row'; float32)"
    assert repr(fa.compiled_update("sgd")) == "CompiledUpdate('sgd'; float64)"
    assert "<function schedule" in repr(fa.compiled_update("sgd", learning_rate=schedule))


def schedule(t):
    return 0.5
