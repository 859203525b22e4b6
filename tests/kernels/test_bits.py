"""The promise: every driver gives the bits of the formula."""

import math
import os
from fractions import Fraction

import numpy as np
import pytest
from adagrad_options import DTYPES, OPTIONS, assert_equal_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, bits_differ, ordered_sum, spread

import fastadagrad as fa
from fastadagrad.host import place

SHAPES = [(), (0,), (1,), (2,), (31,), (32,), (33,), (7, 5), (3, 0), (0, 4), (4097,), (65, 130), (2, 3, 5), (3, 4100)]

THREADS = {"serial": 1, "threaded": 2}


def shapes_for(hyper):
    return [shape for shape in SHAPES if shape or hyper.get("accumulator") != "row"]


@pytest.fixture(params=THREADS)
def threads(request, monkeypatch):
    """Number of threads; the threaded driver is made to take small arrays too."""
    if request.param == "threaded":
        monkeypatch.setattr(place, "PARALLEL_FROM", 0)
        if os.cpu_count() == 1:
            pytest.skip("one CPU: the threaded driver would not be chosen")
    return THREADS[request.param]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", OPTIONS)
def test_many_tensors(option, dtype, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(1)
    params = [rng.standard_normal(shape).astype(dtype) for shape in shapes_for(hyper)]
    params = [np.asarray(p, dtype) for p in params]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, threads=threads, **hyper)
    for _ in range(50):
        gradients = [spread(rng, p.shape, dtype) for p in params]
        opt.step(gradients)
        oracle.step(gradients)
    assert opt.steps == 50
    assert_equal_bits(opt, oracle)


@pytest.mark.parametrize("option", ["plain", "nesterov", "clipped norm", "row", "tensor"])
def test_a_million_elements(option, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(2)
    w = rng.standard_normal((1000, 1001)).astype(np.float32)
    oracle = Oracle([w], **hyper)
    opt = fa.ADAGRAD(params=w, threads=threads, **hyper)
    for _ in range(3):
        g = spread(rng, w.shape, np.float32)
        opt.step(g)
        oracle.step([g])
    assert_equal_bits(opt, oracle)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    dtype=st.sampled_from(DTYPES),
    option=st.sampled_from(sorted(OPTIONS)),
    values=st.lists(st.floats(width=32), min_size=1, max_size=30),
    threads=st.sampled_from([1, 2]),
    copies=st.integers(1, 3),
)
def test_any_values(shape, dtype, option, values, threads, copies):
    """NaN, infinities, denormals and all, unchecked, in every driver."""
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    if hyper.get("accumulator") == "row" and shape == ():
        shape = (1,)
    size = math.prod(shape)
    w = [np.roll(np.resize(np.array(values, dtype), size), i).reshape(shape) for i in range(copies)]
    g = [np.resize(np.array(values[::-1], dtype), size).reshape(shape)] * copies
    oracle = Oracle(w, **hyper)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, "PARALLEL_FROM", 0 if threads > 1 else place.PARALLEL_FROM)
        opt = fa.ADAGRAD(params=w, nonfinite="ignore", threads=threads, **hyper)
    for _ in range(4):
        opt.step(g)
        oracle.step(g)
    assert_equal_bits(opt, oracle)


@pytest.mark.parametrize("dtype", DTYPES)
def test_groups_and_mixed_dtypes(dtype, threads):
    rng = np.random.default_rng(3)
    params = {"a": rng.standard_normal(40).astype(dtype), "b": rng.standard_normal((5, 6)), "c": np.ones(3, dtype)}
    groups = {"a": {"learning_rate": 0.5, "momentum": 0.5}, "b": {"accumulator": "row", "l1": 0.01}}
    oracles = {
        name: Oracle([p], **{"learning_rate": 0.1, "weight_decay": 0.01, **groups.get(name, {})})
        for name, p in params.items()
    }
    opt = fa.ADAGRAD(params=params, learning_rate=0.1, weight_decay=0.01, groups=groups, threads=threads)
    for _ in range(20):
        gradients = {name: spread(rng, p.shape, p.dtype) for name, p in params.items()}
        opt.step(gradients)
        for name, oracle in oracles.items():
            oracle.step([gradients[name]])
    for name, oracle in oracles.items():
        assert bits_differ(params[name], oracle.p[0]) == 0
        assert bits_differ(opt.state[name]["accumulator"], oracle.G[0]) == 0


def test_global_norm_spans_dtypes_and_leaves_the_frozen_out():
    rng = np.random.default_rng(4)
    params = {"a": rng.standard_normal(40).astype(np.float32), "f": np.ones(3), "b": rng.standard_normal((5, 6))}
    oracle = Oracle([params["a"]], learning_rate=0.1, max_global_norm=0.5)
    other = Oracle([params["b"]], learning_rate=0.1, max_global_norm=0.5)
    opt = fa.ADAGRAD(params=params, learning_rate=0.1, max_global_norm=0.5, groups={"f": {"frozen": True}})
    for _ in range(5):
        g = {name: rng.standard_normal(p.shape).astype(p.dtype) for name, p in params.items()}
        opt.step(g)
        total = ordered_sum(g["a"]) + ordered_sum(g["b"])
        for one, name in ((oracle, "a"), (other, "b")):
            one.h["max_global_norm"] = 0.0
            one._step_one(0, g[name], min(1.0, 0.5 / math.sqrt(total)))
    assert bits_differ(params["a"], oracle.p[0]) == 0
    assert bits_differ(params["b"], other.p[0]) == 0
    assert (params["f"] == 1).all()


@pytest.mark.parametrize("n", [1, 31, 64, 4096, 4097, 100_003])
def test_ordered_sum_is_within_an_ulp_of_the_exact_one(n):
    x = spread(np.random.default_rng(n), n, np.float32)
    exact = sum(Fraction(float(v)) ** 2 for v in x)
    opt = fa.ADAGRAD(params=np.zeros(n, np.float32), accumulator="tensor")
    opt.step(x)
    G = opt.state["param0"]["accumulator"]
    assert abs(Fraction(float(G)) - exact) <= Fraction(float(np.spacing(G)))


def test_updates_one_by_one_give_the_same_bits():
    rng = np.random.default_rng(5)
    params = [rng.standard_normal(5), rng.standard_normal((2, 3))]
    oracle = Oracle(params, learning_rate=0.1, momentum=0.9, lr_decay=0.1)
    opt = fa.ADAGRAD(params=params)
    updates = dict(opt.get_updates(learning_rate=0.1, momentum=0.9, lr_decay=0.1))
    for _ in range(10):
        gradients = [rng.standard_normal(p.shape) for p in params]
        oracle.step(gradients)
        for (_, update), gradient in zip(updates.items(), gradients, strict=True):
            update(gradient)
    assert_equal_bits(opt, oracle)
    assert opt.steps == 0
    assert [update.steps for update in updates.values()] == [10, 10]


def test_a_gradient_may_be_its_parameter():
    w = np.linspace(-1, 1, 5001)
    oracle = Oracle([w], learning_rate=0.1, momentum=0.9)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1, momentum=0.9)
    for _ in range(5):
        opt.step(w)
        oracle.step(oracle.p)
    assert_equal_bits(opt, oracle)


def test_gradients_may_share_memory():
    g = np.linspace(-1, 1, 10)
    params = [np.zeros(10), np.ones(10)]
    oracle = Oracle(params, learning_rate=0.1)
    opt = fa.ADAGRAD(params=params, learning_rate=0.1)
    opt.step([g, g])
    oracle.step([g, g])
    assert_equal_bits(opt, oracle)
