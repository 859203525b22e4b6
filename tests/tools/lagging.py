"""What the tests of rows that lag behind share: options, a stream of gradients, and the dense run.

Errors are measured element by element relative to the largest size that the element has had in the float64 dense run:
a sum has the digits of its largest term, and no more.
"""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

import fastadagrad as fa

F4, F8 = np.float32, np.float64
STEPS, ROWS, WIDTH, NAMED = 3000, 300, 4, 3
ACCUMULATORS = ["element", "row", "tensor"]
FIRST_ACCUMULATOR = ["element", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ACCUMULATORS[1:])]


def rate(t):
    return 0.05 * (1 + np.cos(t / 50)) / (1 + t / 1000)


CLOSED = {
    "momentum": {"momentum": 0.9},
    "much momentum": {"momentum": 0.999},
    "nesterov": {"momentum": 0.95, "nesterov": True},
    "l1": {"l1": 0.05},
    "l2": {"l2": 0.05},
    "elastic net": {"l1": 0.02, "l2": 0.02},
    "decay": {"decoupled_weight_decay": 0.01},
    "momentum and decay": {"momentum": 0.9, "decoupled_weight_decay": 0.01},
    "nesterov and decay": {"momentum": 0.95, "nesterov": True, "decoupled_weight_decay": 0.01},
    "momentum and decay as strong": {"momentum": 0.9, "decoupled_weight_decay": 2.0},
    "l1 and decay": {"l1": 0.05, "decoupled_weight_decay": 0.01},
    "l2 and decay": {"l2": 0.05, "decoupled_weight_decay": 0.01},
    "elastic net and decay": {"l1": 0.02, "l2": 0.02, "decoupled_weight_decay": 0.01},
    "momentum, scheduled": {"momentum": 0.9, "learning_rate": rate},
    "nesterov, decaying rate": {"momentum": 0.95, "nesterov": True, "lr_decay": 0.001},
    "l1, scheduled": {"l1": 0.05, "learning_rate": rate},
    "l1, decaying rate": {"l1": 0.05, "lr_decay": 0.001},
    "decay, scheduled": {"decoupled_weight_decay": 0.01, "learning_rate": rate},
    "decay, decaying rate": {"decoupled_weight_decay": 0.01, "lr_decay": 0.001},
    "momentum, clipped norm": {"momentum": 0.9, "max_gradient_norm": 2.0},
    "l1, clipped global norm": {"l1": 0.05, "max_global_norm": 2.0},
    "decay, clipped elements": {"decoupled_weight_decay": 0.01, "max_gradient_elem": 1.0},
    "l1, epsilon inside": {"l1": 0.05, "epsilon_inside": True, "rms_regularizer": 1e-2},
    "elastic net, initial accumulator": {"l1": 0.02, "l2": 0.02, "initial_accumulator_value": 0.5},
    "l1, epsilon 0": {"l1": 0.05, "rms_regularizer": 0},
}


def hyper_of(option, accumulator="element"):
    return {"learning_rate": 0.05, "accumulator": accumulator, **CLOSED[option]}


@cache
def start():
    return np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(F4)


@cache
def stream(steps=STEPS):
    """(indices, values) of each step, values that float32 has too: all rows but the last ten first, then three each.

    So some rows are named never, some once and then never again.
    """
    rng = np.random.default_rng(1)
    pairs = []
    for t in range(steps):
        indices = rng.integers(ROWS - 20, size=NAMED) if t else np.arange(ROWS - 10)
        values = rng.standard_normal((indices.size, WIDTH)) * 10.0 ** rng.uniform(-1, 1, (indices.size, 1))
        values[rng.random(values.shape) < 0.05] = 0
        pairs.append((indices, values.astype(F4)))
    return pairs


def dense(indices, values, dtype):
    g = np.zeros((ROWS, WIDTH), dtype)
    np.add.at(g, indices, values.astype(dtype))
    return g


def made(hyper, dtype=F8, params=None, **kwargs):
    params = {"emb": start().astype(dtype)} if params is None else params
    return fa.ADAGRAD(params=params, **hyper, **kwargs)


def result(opt, size=None):
    """What the optimizer has got to, `flush` called."""
    opt.flush()
    slots = {slot: a.copy() for slot, a in opt.state["emb"].items()}
    return SimpleNamespace(p=opt.params["emb"].copy(), G=slots["accumulator"], v=slots.get("velocity"), size=size)


def note_size(opt, size):
    """The largest sizes that parameters and velocities have had."""
    np.maximum(size.p, np.abs(opt.params["emb"]), out=size.p)
    if "velocity" in opt.state["emb"]:
        np.maximum(size.v, np.abs(opt.state["emb"]["velocity"]), out=size.v)


def sizes():
    return SimpleNamespace(p=np.zeros((ROWS, WIDTH)), v=np.zeros((ROWS, WIDTH)))


@cache
def dense_run(option, accumulator, dtype):
    opt, size = made(hyper_of(option, accumulator), dtype), sizes()
    for indices, values in stream():
        opt.step({"emb": dense(indices, values, dtype)})
        if dtype is F8:
            note_size(opt, size)
    return result(opt, size)


def sparse_run(option, accumulator, dtype, **kwargs):
    opt = made(hyper_of(option, accumulator), dtype, **kwargs)
    for indices, values in stream():
        opt.step({"emb": fa.Rows(indices, values.astype(dtype))})
    return result(opt)


def error(found, exact, size):
    """Largest, and root mean square."""
    relative = np.abs(found.astype(F8) - exact) / np.where(size == 0, 1, size)
    return relative.max(), np.sqrt((relative**2).mean())


def assert_close(found, exact, tolerance=1e-12):
    """Both float64: p and v within the tolerance, and the accumulator too."""
    assert error(found.p, exact.p, exact.size.p)[0] <= tolerance
    if exact.v is not None:
        assert error(found.v, exact.v, exact.size.v)[0] <= tolerance
    np.testing.assert_allclose(found.G, exact.G, tolerance)


def lagging(option="momentum", steps=40, **kwargs):
    """An optimizer whose rows lag behind, and one that has taken the dense steps."""
    lazy, full = (made(hyper_of(option), **kwargs) for _ in range(2))
    go_on(lazy, full, 0, steps)
    return lazy, full


def go_on(lazy, full, begin, end):
    for indices, values in stream()[begin:end]:
        lazy.step({"emb": fa.Rows(indices, values.astype(F8))})
        full.step({"emb": dense(indices, values, F8)})


def assert_current(lazy, full, tolerance=1e-13):
    """The user's own array, without any help."""
    np.testing.assert_allclose(lazy.params["emb"], full.params["emb"], tolerance, tolerance)


def assert_stale(lazy, full):
    assert np.abs(lazy.params["emb"] - full.params["emb"]).max() > 1e-4


def touched_step(oracle, g, rows):
    """The dense step, all but the rows named put back."""
    others = np.setdiff1d(np.arange(len(g)), rows)
    arrays = [oracle.p[0], oracle.v[0], *([oracle.G[0]] if oracle.G[0].ndim else [])]
    before = [a[others].copy() for a in arrays]
    oracle.step([g])
    for a, old in zip([oracle.p[0], oracle.v[0], oracle.G[0]], before, strict=False):
        a[others] = old
