"""Fits by several processes, for which threads stand in: the formula in NumPy, and the fit of one process."""

import numpy as np
import pytest
from in_step import run
from linear_examples import classification, sparse
from linear_oracle import LEVEL, epoch, oracle_of, to_sparse
from oracle import bits_differ

import fastadagrad as fa
from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.linear.layouts import Dense, WeighedDense, WeighedSparse
from fastadagrad.linear import LinearModel
from fastadagrad.linear.divided import DividedTrainer, Together
from fastadagrad.linear.targets import Targets

SIZES, FEATURES, BATCH = (1, 2, 3, 4, 7), 21, 9
SLOW = pytest.mark.slow


# Method, its options, layout, lazy, classes, whether examples are weighed, dtype
CASES = {
    "dense": ("ADAGRAD", {}, "dense", "exact", 0, False, np.float32),
    "sparse": ("ADAGRAD", {}, "sparse", "touched", 0, False, np.float32),
    "dense softmax": ("ADAGRAD", {}, "dense", "exact", 3, False, np.float32),
    "sparse softmax": ("ADAGRAD", {"l1": 0.01}, "sparse", "touched", 3, False, np.float64),
    "dense, weighed": ("SGD", {}, "dense", "exact", 0, True, np.float64),
    "sparse, weighed": ("SGD", {"l1": 0.01}, "sparse", "touched", 0, True, np.float32),
    "momentum": ("ADAGRAD", {"momentum": 0.5, "nesterov": True}, "sparse", "touched", 0, False, np.float32),
    "all features": ("ADAGRAD", {"momentum": 0.5}, "sparse", "dense", 0, False, np.float32),
    "other rates in each step": ("Adam", {}, "sparse", "touched", 0, False, np.float32),
    "placed anew": ("RDA", {"rda_l1": 0.002}, "sparse", "exact", 0, False, np.float32),
}


def make_examples(classes, dtype, n=52):
    rng = np.random.default_rng(classes)
    X = rng.normal(size=(n, FEATURES))
    X[rng.random(X.shape) < 0.7] = 0
    X[3] = 0
    labels = rng.integers(0, classes, n) if classes else np.where(X[:, :4].sum(1) + 0.3 * X[:, 4] > 0, 1.0, -1.0)
    importance = rng.uniform(0.5, 2, n).astype(dtype)
    return X.astype(dtype), labels.astype(dtype), rng.permutation(n), importance


def expected(size, case):
    """Losses of two epochs, and the oracles of the weights and the intercept."""
    name, hyper, layout, lazy, classes, weighed, dtype = CASES[case]
    X, labels, order, importance = make_examples(classes, dtype)
    shape = (FEATURES, classes) if classes else (FEATURES,)
    free = {key: x for key, x in hyper.items() if not key.endswith("l1")}
    features = oracle_of(name, np.zeros(shape, dtype), learning_rate=0.1, **hyper)
    constant = oracle_of(name, np.zeros((1, *shape[1:]), dtype), learning_rate=0.1, **free)
    losses = [
        epoch(
            X,
            labels,
            order,
            BATCH,
            "logistic",
            classes,
            lambda: features.p,
            lambda: constant.p,
            lambda g, chosen: features.step(g[chosen], chosen),
            constant.step,
            layout == "dense",
            lazy == "touched",
            importance if weighed else None,
            size,
        )
        for _ in range(2)
    ]
    return losses, features, constant


def trained(processes, case):
    name, hyper, layout, lazy, classes, weighed, dtype = CASES[case]
    X, labels, order, importance = make_examples(classes, dtype)
    examples = Dense(X, labels) if layout == "dense" else to_sparse(X, labels)
    if weighed:
        examples = (WeighedDense if layout == "dense" else WeighedSparse)(*examples, importance)
    targets = Targets("softmax", np.arange(classes)) if classes else Targets("logistic", np.array([0, 1]), option=LEVEL)
    settings, _ = make_settings(getattr(fa, name).rule, {"learning_rate": 0.1, **hyper})
    how = {"features": FEATURES, "targets": targets, "batch_size": BATCH, "lazy": lazy, "intercept": True}
    trainer = DividedTrainer(examples, settings, processes=Together(processes), **how)
    return [trainer.train(order) for _ in range(2)], trainer


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_the_sums_of_shares_have_the_bits_of_the_formula(size, case):
    losses, features, constant = expected(size, case)
    for found, trainer in run(size, lambda processes: trained(processes, case)):
        assert found == losses
        for weights, oracle in ((trainer.weights, features), (trainer.intercept, constant)):
            assert bits_differ(weights.p, oracle.p) == 0
            for slot, of_oracle in zip(weights.slots, oracle.slots, strict=False):
                assert bits_differ(slot + 0, of_oracle + 0) == 0


FITS = {
    "dense": (classification, {}),
    "softmax": (lambda: classification(classes=3), {}),
    "sparse": (sparse, {"scale": "maxabs"}),
    "l2, in closed form": (sparse, {"scale": "maxabs", "l2": 1e-3}),
    "momentum, in closed form": (sparse, {"scale": "maxabs", "momentum": 0.9, "learning_rate": 0.1}),
    "rates of steps, in closed form": (sparse, {"scale": "maxabs", "method": "rda", "rda_l1": 1e-3}),
    "validation": (sparse, {"scale": "maxabs", "validation": 0.3, "patience": 1}),
    "a mean of three epochs": (sparse, {"scale": "maxabs", "average": 3, "learning_rate": 0.3}),
}


def fitted(comm, case, weights=False, **more):
    examples, how = FITS[case]
    X, y = examples()
    sample_weight = np.linspace(0, 3, len(y)) if weights else None
    model = LinearModel(**{"dtype": np.float64, "batch_size": 25, "max_epochs": 6, **how, **more})
    return model.fit(X, y, comm=comm, sample_weight=sample_weight)


def numbers_of(model):
    return [model.coef_.tobytes(), model.intercept_.tobytes(), model.history, model.best_epoch, model.stopped_because]


@pytest.mark.parametrize("case", FITS)
@pytest.mark.parametrize("size", [2, 3, pytest.param(7, marks=SLOW)])
def test_the_fit_of_one_process(size, case):
    one = fitted(None, case)
    first, *others = run(size, lambda comm: fitted(comm, case))
    for name in ("coef_", "intercept_"):
        scale = np.abs(getattr(one, name)).max()
        np.testing.assert_allclose(getattr(first, name), getattr(one, name), rtol=1e-12, atol=1e-12 * scale)
    assert first.learning_rate_ == one.learning_rate_
    assert [entry["loss"] for entry in first.history] == pytest.approx([e["loss"] for e in one.history], rel=1e-12)
    assert (first.best_epoch, first.stopped_because) == (one.best_epoch, one.stopped_because)
    for other in others:
        assert numbers_of(other) == numbers_of(first)


def test_weights_of_examples():
    one = fitted(None, "sparse", weights=True)
    for model in run(3, lambda comm: fitted(comm, "sparse", weights=True)):
        np.testing.assert_allclose(model.coef_, one.coef_, rtol=1e-12)


def test_one_process_alone_has_the_bits_of_a_fit_without_others():
    [found] = run(1, lambda comm: fitted(comm, "sparse"))
    assert numbers_of(found) == numbers_of(fitted(None, "sparse"))


def test_the_same_bits_again():
    found = [run(3, lambda comm: numbers_of(fitted(comm, "sparse", dtype=np.float32))) for _ in range(2)]
    assert found[0] == found[1]


def test_batches_of_fewer_examples_than_processes():
    def fit(comm):
        return fitted(comm, "sparse", batch_size=2, learning_rate=0.3, max_epochs=1)

    one = fit(None)
    for model in run(7, fit):
        np.testing.assert_allclose(model.coef_, one.coef_, rtol=1e-12, atol=1e-15)


def test_training_that_goes_on():
    def fit(comm):
        X, y = sparse()
        model = LinearModel(dtype=np.float64, batch_size=25, max_epochs=3, warm_start=True, scale="maxabs")
        model.fit(X, y, comm=comm).fit(X, y, comm=comm)
        return model.partial_fit(X, y)  # by each process alone

    one = fit(None)
    first, *others = run(3, fit)
    np.testing.assert_allclose(first.coef_, one.coef_, rtol=1e-12)
    for other in others:
        assert numbers_of(other) == numbers_of(first)
