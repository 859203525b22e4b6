"""The compiled epochs against a plain NumPy evaluation of the formulas, bit for bit."""

import itertools

import numpy as np
import pytest
from linear_oracle import LEVEL, epoch, to_sparse
from oracle import bits_differ

from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.linear import passes, weight_arrays
from fastadagrad.kernels.linear.layouts import Dense, WeighedDense, WeighedSparse, shuffle
from fastadagrad.kernels.linear.losses import LOSSES as RECORDS
from fastadagrad.kernels.linear.sixteen import ABREAST
from fastadagrad.kernels.linear.switch import Chosen
from fastadagrad.kernels.memory.prefetch import NEAR_WEIGHTS
from fastadagrad.kernels.rules import adagrad
from fastadagrad.linear.training import is_dense

UNPENALISED = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "decoupled_weight_decay": 0.0}


def make_data(kind, classes, dtype, n=70, features=37, seed=0):
    """A matrix with many zeros and labels that depend on it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)) * 10.0 ** rng.uniform(-2, 2, features)
    X[rng.random(X.shape) < 0.7] = 0
    X[3] = 0
    X = (X / 64 if kind == "poisson" else X).astype(dtype)  # exponentials of scores are to stay within the dtype
    score = X[:, :5].sum(1) + rng.normal(size=n)
    signs = np.where(score > 0, 1.0, -1.0)
    counts = np.floor(np.abs(score))
    others = {"softmax": rng.integers(0, max(classes, 1), n), "squared": score, "quantile": score, "huber": score}
    others["poisson"] = counts
    labels = others.get(kind, signs)
    return X, labels.astype(dtype)


def step(state, g, hyper, rate):
    """The formulas of the method, on whole arrays."""
    p, G, v = state
    real = p.dtype.type
    a, m = real(rate), real(hyper.get("momentum", 0.0))
    if hyper.get("weight_decay"):
        g = g + real(hyper["weight_decay"]) * p
    G[...] = G + g * g
    H = np.sqrt(G) + real(hyper.get("rms_regularizer", 1e-8))
    with np.errstate(all="ignore"):
        d = np.where(H != 0, a * g / H, real(0))
    q = p * real(1 - rate * hyper.get("decoupled_weight_decay", 0.0))
    if m:
        v[...] = m * v - d
        q = q + (m * v - d if hyper.get("nesterov") else v)
    else:
        q = q - d
    l1, l2 = real(rate * hyper.get("l1", 0.0)), real(rate * hyper.get("l2", 0.0))
    if l1 or l2:
        with np.errstate(all="ignore"):
            size = np.abs(q) - l1 / H
            r = np.where(size <= 0, real(0), np.copysign(size / (1 + l2 / H), q))
        q = np.where(G == 0, q, r)
    p[...] = q


def oracle(X, labels, order, size, kind, classes, hyper, rate, dense_dot, touched_only=False, importance=None):
    shape = (X.shape[1], classes) if classes else (X.shape[1],)
    weights = [np.zeros(shape, X.dtype) for _ in range(3)]
    intercept = [np.zeros((1, *shape[1:]), X.dtype) for _ in range(3)]

    def step_features(g, chosen):
        part = [a[chosen] for a in weights]
        step(part, g[chosen], hyper, rate)
        for a, b in zip(weights, part, strict=True):
            a[chosen] = b

    def step_intercept(g):
        step(intercept, g, {**hyper, **UNPENALISED}, rate)

    examples = X, labels, order, size, kind, classes
    return (
        epoch(*examples, weights[0], intercept[0], step_features, step_intercept, dense_dot, touched_only, importance),
        weights,
        intercept,
    )


def longest_of(examples):
    return 0 if is_dense(examples) else int(np.diff(examples.starts).max())


def make_both(layout, features, classes, slots, dtype):
    """Weights and an intercept that begin with 0."""
    shapes = (layout, features), ("dense", 1)
    return [weight_arrays.make_weights(*shape, classes, len(slots), dtype) for shape in shapes]


def train(examples, order, size, kind, classes, hyper, rate, *, lazy="touched", online=None, epochs=1, features=37):
    layout = "dense" if is_dense(examples) else "sparse"
    dtype = examples.values.dtype
    features = examples.values.shape[1] if layout == "dense" else features
    settings, _ = make_settings(adagrad, {**hyper, "learning_rate": rate})
    unpenalised, _ = make_settings(adagrad, {**hyper, **UNPENALISED, "learning_rate": rate})
    exact = np.array(settings.scalars(0))
    rates = weight_arrays.Rates(exact.astype(dtype), np.array(unpenalised.scalars(0)).astype(dtype), exact)

    weights, intercept = make_both(layout, features, classes, settings.slots, dtype)
    sweep = lazy == "dense" or (layout == "dense" and (size > 1 or online is False))
    catching_up = lazy == "exact"
    weighed = hasattr(examples, "importance")
    variant = settings.motion, settings.lean, layout, bool(classes), catching_up, dtype
    loops = passes.make_loops(adagrad, *variant, weighed=weighed)
    if online is None:
        online = size == 1 and not sweep
    work = weight_arrays.make_work(weights, longest_of(examples), online=online, exact=catching_up)
    arguments = (Chosen(RECORDS[kind].number, LEVEL), examples, order, weights, intercept, rates, work)
    for _ in range(epochs):
        loss = loops.online(*arguments) if online else loops.batches(size, sweep, *arguments)
    return loss, weights, intercept


def assert_equal_bits(arrays, expected):
    for array, other in zip(arrays, expected, strict=False):  # that has a velocity where there is none
        assert bits_differ(array, other) == 0


def assert_same(found, expected):
    loss, weights, intercept = found
    assert loss == expected[0]
    for ours, theirs in ((weights, expected[1]), (intercept, expected[2])):
        assert_equal_bits((ours.p, *ours.slots), theirs)


LOSSES = [("logistic", 0), ("squared", 0), ("hinge", 0), ("softmax", 3), ("poisson", 0), ("quantile", 0), ("huber", 0)]


def test_every_loss_has_an_oracle():
    assert [name for name, _ in LOSSES] == [*RECORDS]


OPTIONS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True, "decoupled_weight_decay": 0.02},
    {"l1": 0.01, "l2": 0.02},
    {"weight_decay": 0.1, "rms_regularizer": 0.0},
]
FEW = [{}, OPTIONS[2]]


def options(classes, size):
    """What to test with these: each variant takes a second or more to compile."""
    if classes:
        return FEW[:1] if size > 1 else FEW[1:]
    return FEW if size > 1 else OPTIONS


@pytest.mark.parametrize(("kind", "classes"), LOSSES)
@pytest.mark.parametrize("size", [1, 8])
def test_dense_has_the_bits_of_the_formula(kind, classes, size):
    X, labels = make_data(kind, classes, np.float32)
    order = np.random.default_rng(1).permutation(len(X))
    for hyper in options(classes, size):
        found = train(Dense(X, labels), order, size, kind, classes, hyper, 0.1)
        assert_same(found, oracle(X, labels, order, size, kind, classes, hyper, 0.1, dense_dot=True))


@pytest.mark.parametrize(("kind", "classes", "size"), [("logistic", 0, 1), ("softmax", 3, 8)])
def test_dense_in_double_precision(kind, classes, size):
    X, labels = make_data(kind, classes, np.float64)
    order = np.arange(len(X))
    found = train(Dense(X, labels), order, size, kind, classes, {}, 0.1)
    assert_same(found, oracle(X, labels, order, size, kind, classes, {}, 0.1, dense_dot=True))


@pytest.mark.parametrize(("kind", "classes"), LOSSES)
@pytest.mark.parametrize("size", [1, 8])
def test_sparse_has_the_bits_of_the_formula(kind, classes, size):
    X, labels = make_data(kind, classes, np.float32)
    order = np.random.default_rng(1).permutation(len(X))
    for hyper in options(classes, size):
        for lazy in ("touched", "dense") if hyper == FEW[0] else ("touched",):
            found = train(to_sparse(X, labels), order, size, kind, classes, hyper, 0.1, lazy=lazy)
            touched = lazy == "touched"
            expected = oracle(X, labels, order, size, kind, classes, hyper, 0.1, False, touched_only=touched)
            assert_same(found, expected)


@pytest.mark.parametrize(("kind", "classes"), [("logistic", 0), ("softmax", 3)])
@pytest.mark.parametrize("size", [1, 8])
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_importance_has_the_bits_of_the_formula(layout, kind, classes, size):
    X, labels = make_data(kind, classes, np.float32)
    rng = np.random.default_rng(2)
    order, importance = rng.permutation(len(X)), rng.random(len(X)).astype(np.float32)
    plain = Dense(X, labels) if layout == "dense" else to_sparse(X, labels)
    examples = (WeighedDense if layout == "dense" else WeighedSparse)(*plain, importance)
    for hyper in FEW:
        found = train(examples, order, size, kind, classes, hyper, 0.1)
        dense = layout == "dense"
        expected = oracle(X, labels, order, size, kind, classes, hyper, 0.1, dense, not dense, importance)
        assert_same(found, expected)


def make_rows(features, dtype):
    """Rows of no feature, and of less and more than what is stepped at once."""
    rng = np.random.default_rng(3)
    X, labels = np.zeros((40, features), dtype), rng.choice([-1, 1], 40).astype(dtype)
    for n, length in enumerate([0, 1, ABREAST - 1, ABREAST, ABREAST + 1, 2 * ABREAST, 83] * 5):
        X[n, rng.choice(features, length, replace=False)] = rng.normal(size=length)
    return X, labels


MANY = NEAR_WEIGHTS + 100  # features, of which the next example's are asked for


@pytest.mark.parametrize("features", [83, MANY])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_every_length(features, dtype):
    X, labels = make_rows(features, dtype)
    order = np.random.default_rng(4).permutation(len(X))
    for hyper in FEW:
        found = train(to_sparse(X, labels), order, 1, "logistic", 0, hyper, 0.1, features=features)
        assert_same(found, oracle(X, labels, order, 1, "logistic", 0, hyper, 0.1, False, touched_only=True))


@pytest.mark.parametrize(("kind", "classes", "size"), [("squared", 0, 8), ("softmax", 3, 1), ("softmax", 3, 8)])
def test_many_features(kind, classes, size):
    X, labels = make_rows(MANY, np.float32)
    order, labels = np.arange(len(X)), np.abs(labels)
    found = train(to_sparse(X, labels), order, size, kind, classes, {}, 0.1, features=MANY)
    assert_same(found, oracle(X, labels, order, size, kind, classes, {}, 0.1, False, touched_only=True))


def test_examples_without_features():
    X, labels = np.zeros((5, 37), np.float32), np.ones(5, np.float32)
    found = train(to_sparse(X, labels), np.arange(5), 1, "logistic", 0, {}, 0.1)
    assert_same(found, oracle(X, labels, np.arange(5), 1, "logistic", 0, {}, 0.1, False, touched_only=True))


def test_online_is_a_batch_of_one():
    X, labels = make_data("logistic", 0, np.float32)
    order = np.arange(len(X))
    for examples in (Dense(X, labels), to_sparse(X, labels)):
        online = train(examples, order, 1, "logistic", 0, {}, 0.1)
        batches = train(examples, order, 1, "logistic", 0, {}, 0.1, online=False)
        np.testing.assert_array_equal(online[1].p, batches[1].p)


EXACT = [
    {"momentum": 0.9},
    {"momentum": 0.95, "nesterov": True},
    {"momentum": 0.9, "decoupled_weight_decay": 0.2},
    {"l1": 0.01},
    {"l2": 0.02},
    {"l1": 0.01, "l2": 0.02},
    {"decoupled_weight_decay": 0.2},
    {"decoupled_weight_decay": 0.2, "l1": 0.01, "l2": 0.02},
]


EVERY = [("logistic", 0, 1, hyper) for hyper in EXACT]
SOME = [("squared", 0, 8, EXACT[7]), ("softmax", 3, 8, EXACT[2])]


def assert_lazy_is_dense(X, labels, order, size, kind, classes, hyper):
    runs = [
        train(to_sparse(X, labels), order, size, kind, classes, hyper, 0.1, lazy=lazy, epochs=3, features=X.shape[1])
        for lazy in ("exact", "dense")
    ]
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-12)
    for ours, theirs in zip(runs[0][1:], runs[1][1:], strict=True):
        for a, b in zip((ours.p, *ours.slots), (theirs.p, *theirs.slots), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())
            assert ((a == 0) == (b == 0)).all()


@pytest.mark.parametrize(("kind", "classes", "size", "hyper"), EVERY + SOME)
def test_lazy_is_the_dense_method(kind, classes, size, hyper):
    X, labels = make_data(kind, classes, np.float64)
    assert_lazy_is_dense(X, labels, np.random.default_rng(1).permutation(len(X)), size, kind, classes, hyper)


@pytest.mark.parametrize(
    ("kind", "classes", "size", "hyper"), [("logistic", 0, 1, EXACT[5]), ("softmax", 3, 8, EXACT[4])]
)
def test_lazy_is_the_dense_method_for_many_features(kind, classes, size, hyper):
    X, labels = make_rows(MANY, np.float64)
    labels = np.maximum(labels, 0) if classes else labels
    assert_lazy_is_dense(X, labels, np.arange(len(X)), size, kind, classes, hyper)


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("hyper", EXACT)
def test_groups_are_caught_up_as_single_weights_are(hyper, dtype):
    X, labels = make_rows(83, dtype)
    order = np.random.default_rng(4).permutation(len(X))
    how = {"lazy": "exact", "epochs": 2, "features": 83}
    runs = [
        train(to_sparse(X, labels), order, 1, "logistic", 0, hyper, 0.1, online=online, **how)
        for online in (True, False)
    ]
    assert runs[0][0] == runs[1][0]
    for ours, theirs in zip(runs[0][1:], runs[1][1:], strict=True):
        assert_equal_bits((ours.p, *ours.slots), (theirs.p, *theirs.slots))


def test_scratch_is_left_clean():
    X, labels = make_data("logistic", 0, np.float32)
    weights, intercept = make_both("sparse", 37, 0, ["accumulator"], np.float32)
    settings, _ = make_settings(adagrad, {"l1": 0.1})
    scalars = np.array(settings.scalars(0))
    rates = weight_arrays.Rates(scalars.astype(np.float32), scalars.astype(np.float32), scalars)
    loops = passes.make_loops(adagrad, "plain", False, "sparse", False, True, np.dtype(np.float32))
    examples = to_sparse(X, labels)
    work = weight_arrays.make_work(weights, longest_of(examples), online=False, exact=True)
    loops.batches(8, False, Chosen(0, LEVEL), examples, np.arange(len(X)), weights, intercept, rates, work)
    for array in (work.gradient, work.intercept_gradient, work.last):
        assert not array.view(np.int32).any()


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_a_shuffle_is_a_permutation(n):
    order = np.full(n, -1)
    shuffle(np.random.default_rng(0).random(n), order)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("largest", [0.0, np.nextafter(1, 0)])
def test_a_shuffle_stays_inside(largest):
    order = np.empty(70_000, np.int64)
    shuffle(np.full(order.size, largest), order)
    np.testing.assert_array_equal(np.sort(order), np.arange(order.size))


def test_every_order_is_as_likely():
    rng, order = np.random.default_rng(0), np.empty(4, np.int64)
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for _ in range(24_000):
        shuffle(rng.random(4), order)
        counts[tuple(order)] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 49.7  # chi-square of 23 degrees, 0.1 %
