"""Training by each method against a plain NumPy evaluation of its formula, bit for bit, for every way over features."""

import numpy as np
import pytest
from linear_oracle import LEVEL, epoch, oracle_of, to_sparse
from oracle import bits_differ

import fastadagrad as fa
from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.linear.layouts import Dense
from fastadagrad.kernels.memory.prefetch import NEAR_WEIGHTS
from fastadagrad.linear import training
from fastadagrad.linear.methods import trainers
from fastadagrad.linear.targets import Targets

CLASSES = {fa.build(name, params=np.zeros(1)).__class__.__name__: name for name in trainers()}
EPOCHS, FEATURES = 3, 21
SLOW = pytest.mark.slow


TRIED = {
    "SGD": [{}, {"momentum": 0.5}, {"l1": 0.01}],
    "NAG": [{"momentum": 0.5}],
    "RMSProp": [{}, {"centered": False, "decoupled_weight_decay": 0.1}, {"momentum": 0.5, "nesterov": True}],
    "Adam": [{}, {"amsgrad": True, "l2": 0.01}],
    "AdaGradDA": [{}, {"rda_l1": 0.01, "initial_accumulator_value": 0.1}],
    "RDA": [{}, {"rda_l1": 0.002}],
    "FTRL": [{}, {"ftrl_l1": 0.05, "ftrl_l2": 0.1}, {"weight_decay": 0.05}],
    "ADAGRAD": [{}, {"l1": 0.01}],
}
OPTIONS = {name: TRIED.get(name, [{}]) for name in CLASSES}
VARIANTS = [(name, i) for name in OPTIONS for i in range(len(OPTIONS[name]))]
PLACED_ANEW = {("RDA", 0), ("RDA", 1), ("AdaGradDA", 1)}  # weights move with time, by the place that their slots have


def make_examples(dtype, classes, n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, FEATURES))
    X[rng.random(X.shape) < 0.7] = 0
    X[3] = 0
    X[:, -1] = 0  # of which no example has anything
    score = X[:, :4].sum(1) + 0.3 * rng.normal(size=n)
    labels = rng.integers(0, classes, n) if classes else np.where(score > 0, 1.0, -1.0)
    return X.astype(dtype), labels.astype(dtype), rng.permutation(n)


def trained(name, hyper, X, labels, order, size, classes, layout, lazy, intercept):
    targets = Targets("softmax", np.arange(classes)) if classes else Targets("logistic", np.array([0, 1]), option=LEVEL)
    settings, _ = make_settings(getattr(fa, name).rule, {"learning_rate": 0.1, **hyper})
    examples = Dense(X, labels) if layout == "dense" else to_sparse(X, labels)
    how = {"features": FEATURES, "batch_size": size, "lazy": lazy, "intercept": intercept}
    trainer = training.Trainer(examples, settings, targets=targets, **how)
    losses = [trainer.epoch(order) for _ in range(EPOCHS)]
    return losses, trainer


def expected(name, hyper, X, labels, order, size, classes, layout, touched, intercept):
    shape = (FEATURES, classes) if classes else (FEATURES,)
    free = {key: x for key, x in hyper.items() if not key.endswith(("l1", "l2")) and "decay" not in key}
    features = oracle_of(name, np.zeros(shape, X.dtype), **{"learning_rate": 0.1, **hyper})
    constant = oracle_of(name, np.zeros((1, *shape[1:]), X.dtype), **{"learning_rate": 0.1, **free})
    losses = [
        epoch(
            X,
            labels,
            order,
            size,
            "logistic",
            classes,
            lambda: features.p,
            lambda: constant.p,
            lambda g, chosen: features.step(g[chosen], chosen),
            constant.step if intercept else lambda g: None,
            layout == "dense",
            touched,
        )
        / len(order)
        for _ in range(EPOCHS)
    ]
    return losses, features, constant


def assert_same(found, reference, intercept=True):
    (losses, trainer), (expected_losses, features, constant) = found, reference
    assert losses == expected_losses
    pairs = [(trainer.weights, features)] + ([(trainer.intercept, constant)] if intercept else [])
    for weights, oracle in pairs:
        assert bits_differ(weights.p, oracle.p) == 0
        for slot, of_oracle in zip(weights.slots, oracle.slots, strict=False):  # whose velocity is apart
            assert bits_differ(slot + 0, of_oracle + 0) == 0  # a slot may be -0 that +0 has been added to
    assert intercept or not trainer.intercept.p.any()


WAYS = {
    "dense rows, one by one": ("dense", 1, "exact", False),
    "dense rows, by batches": ("dense", 8, "exact", False),
    "single features": ("sparse", 1, "touched", True),
    "features of batches": ("sparse", 8, "touched", True),
    "all features": ("sparse", 1, "dense", False),
}
ONE, BATCHES = "single features", "dense rows, by batches"
# Each takes seconds to compile: one way is tried of every method, and another of some; the others are slow tests.
QUICK = ("SGD", "FTRL", "Adam")
CASES = [
    pytest.param(name, i, way, marks=[] if i == 0 and (way == ONE or (way == BATCHES and name in QUICK)) else SLOW)
    for name, i in VARIANTS
    for way in WAYS
]
SLOW_BUT = {name: [] if name in QUICK else [SLOW] for name in OPTIONS}
SOME = pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in SLOW_BUT.items()])


def assert_has_the_bits(name, hyper, examples, way, classes=0, intercept=True):
    layout, size, lazy, touched = way
    found = trained(name, hyper, *examples, size, classes, layout, lazy, intercept)
    reference = expected(name, hyper, *examples, size, classes, layout, touched, intercept)
    assert_same(found, reference, intercept)


@pytest.mark.parametrize(("name", "variant", "way"), CASES)
def test_has_the_bits_of_the_formula(name, variant, way):
    assert_has_the_bits(name, OPTIONS[name][variant], make_examples(np.float32, 0), WAYS[way])


@SOME
def test_several_outputs(name):
    for way in (ONE, BATCHES):
        assert_has_the_bits(name, OPTIONS[name][0], make_examples(np.float32, 3), WAYS[way], classes=3)


@SOME
def test_in_double_precision_and_without_an_intercept(name):
    for way in ("dense rows, one by one", "features of batches"):
        assert_has_the_bits(name, OPTIONS[name][-1], make_examples(np.float64, 0), WAYS[way], intercept=False)


@pytest.mark.parametrize(("classes", "size"), [(0, 1), pytest.param(0, 8, marks=SLOW), pytest.param(3, 1, marks=SLOW)])
@pytest.mark.parametrize(("name", "variant"), sorted(PLACED_ANEW))
def test_what_time_moves_is_placed_anew_with_the_bits_of_dense_steps(name, variant, classes, size):
    way = "sparse", size, "exact", False
    assert_has_the_bits(name, OPTIONS[name][variant], make_examples(np.float32, classes), way, classes)


@pytest.mark.parametrize(("name", "lazy"), [("SGD", "touched"), ("FTRL", "exact"), ("RDA", "exact")])
@pytest.mark.parametrize("classes", [0, pytest.param(3, marks=SLOW)])
def test_many_features(name, lazy, classes, monkeypatch):
    """Those of the next example are prefetched."""
    X, labels, order = make_examples(np.float32, classes)
    wide = np.zeros((len(X), NEAR_WEIGHTS + 100), X.dtype)
    wide[:, :: NEAR_WEIGHTS // FEATURES + 5][:, :FEATURES] = X
    monkeypatch.setitem(globals(), "FEATURES", wide.shape[1])
    way = "sparse", 1, lazy, lazy == "touched"
    assert_has_the_bits(name, OPTIONS[name][0], (wide, labels, order), way, classes)


@pytest.mark.parametrize(
    ("name", "hyper"),
    [
        ("SGD", {"l1": 0.01}),
        ("NAG", {"momentum": 0.5}),
        pytest.param("SGD", {"momentum": 0.5}, marks=pytest.mark.slow),
        pytest.param("SGD", {"l2": 0.02, "decoupled_weight_decay": 0.1}, marks=pytest.mark.slow),
    ],
)
def test_missed_steps_are_made_good_in_closed_form(name, hyper):
    X, labels, order = make_examples(np.float64, 0)
    _, lazily = trained(name, hyper, X, labels, order, 1, 0, "sparse", "exact", True)
    _, densely = trained(name, hyper, X, labels, order, 1, 0, "sparse", "dense", True)
    np.testing.assert_allclose(lazily.weights.p, densely.weights.p, rtol=1e-12, atol=1e-15)
    assert ((lazily.weights.p == 0) == (densely.weights.p == 0)).all()


@pytest.mark.parametrize(("name", "lazy"), [("Adam", "touched"), ("RDA", "exact"), ("AdaGradDA", "exact")])
def test_calls_go_on_where_the_last_one_ended(name, lazy, monkeypatch):
    hyper = OPTIONS[name][-1]
    X, labels, order = make_examples(np.float32, 0)
    whole = trained(name, hyper, X, labels, order, 1, 0, "sparse", lazy, True)
    monkeypatch.setattr(training, "MOST_TIMED_STEPS", 7)
    parts = trained(name, hyper, X, labels, order, 1, 0, "sparse", lazy, True)
    np.testing.assert_array_equal(parts[1].weights.p, whole[1].weights.p)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-12)
